import { seededRandom } from '../../tools/random.ts'
import { Impostor, type PublishedKeys } from './impostor.ts'
import type { Frame, Material } from './mutate.ts'

/** Frames kept for replays, for each direction. */
const maxPast = 200
/** Lies kept for the report of a fault. */
const maxLog = 30

export type Direction = 'up' | 'down'
type Ending = { end(): void }

/** What one victim did, for the bounds on its work. Times in ms of the monotonic clock. */
type Traffic = { dials: number[]; framesBySecond: Map<number, number> }

/** FNV-1a, 32 bits. */
export function hash(text: string): number {
  let value = 0x811c9dc5
  for (const char of text) value = Math.imul(value ^ (char.codePointAt(0) ?? 0), 0x01000193)
  return value >>> 0
}

/**
 * A few agents that talk to each other through a node that lies. Each connection and direction has its own random
 * choices, made from the seed of the scene, so that they depend only on the frames of that connection.
 */
export class Scene {
  readonly seed: number
  /** The names of the agents that are lied to. */
  readonly victims: readonly string[]
  /** The probability of a lie, for each frame. */
  readonly rate: number
  isHonest = true
  lies = 0
  readonly past: Record<Direction, Frame[]> = { up: [], down: [] }
  /** The last lies, as text. */
  readonly log: string[] = []
  readonly connections = new Set<Ending>()
  readonly #published = new Map<string, PublishedKeys>()
  readonly #impostors = new Map<string, Impostor>()
  readonly #traffic = new Map<string, Traffic>()

  constructor(seed: number, victims: readonly string[]) {
    this.seed = seed
    this.victims = victims
    this.rate = seededRandom(seed).pick([0.04, 0.1, 0.2, 0.3])
  }

  /** From now on every frame passes unchanged. Connections that have been lied to end. */
  beHonest(): void {
    this.isHonest = true
    this.endConnections()
  }

  /** Frees what only lies need: a run has hundreds of scenes, and each keeps hundreds of frames. */
  forget(): void {
    this.past.up.length = 0
    this.past.down.length = 0
    this.#published.clear()
    this.#impostors.clear()
    this.#traffic.clear()
  }

  endConnections(): void {
    for (const connection of [...this.connections]) connection.end()
  }

  count(victim: string, direction: Direction, what: string): void {
    this.lies += 1
    this.log.push(`${victim} ${direction} ${what}`)
    if (this.log.length > maxLog) this.log.shift()
  }

  /** Keeps a frame for replays, and the keys that a victim publishes. */
  remember(victim: string, direction: Direction, frame: Frame): void {
    const past = this.past[direction]
    past.push(frame)
    if (past.length > maxPast) past.shift()
    if (direction === 'up' && frame.type === 'publish_keys') this.#publish(victim, frame)
  }

  /** Values of this conversation, to put in place of others. */
  material(): Material {
    const frames = [...this.past.up, ...this.past.down].slice(-60)
    const idOf = (frame: Frame) => (typeof frame.id === 'string' ? [frame.id] : [])
    const bodyOf = (frame: Frame) => (typeof frame.body === 'string' ? [frame.body] : [])
    return { names: this.victims, ids: frames.flatMap(idOf), bodies: frames.flatMap(bodyOf) }
  }

  impostorOf(name: string, victim: string): Impostor {
    const key = `${name} ${victim}`
    const impostor = this.#impostors.get(key) ?? new Impostor(name, victim, this.seed)
    this.#impostors.set(key, impostor)
    return impostor
  }

  /** Returns true if an impostor reads what `victim` sends to `to`. */
  isFooled(victim: string, to: unknown, body: unknown): boolean {
    return this.#impostors.get(`${String(to).split('@')[0]} ${victim}`)?.reads(body) ?? false
  }

  publishedBy(victim: string): PublishedKeys | undefined {
    return this.#published.get(victim)
  }

  noteDial(victim: string): number {
    const { dials } = this.#trafficOf(victim)
    return dials.push(performance.now())
  }

  noteFrame(victim: string): void {
    const { framesBySecond } = this.#trafficOf(victim)
    const second = Math.floor(performance.now() / 1_000)
    framesBySecond.set(second, (framesBySecond.get(second) ?? 0) + 1)
  }

  /** Returns the largest number of dials of one victim within `windowMs`, and of frames within a second. */
  peaks(windowMs: number): { victim: string; dials: number; frames: number }[] {
    return [...this.#traffic].map(([victim, { dials, framesBySecond }]) => ({
      victim,
      dials: Math.max(0, ...dials.map((from, at) => dials.filter((tm, i) => i >= at && tm < from + windowMs).length)),
      frames: Math.max(0, ...framesBySecond.values()),
    }))
  }

  #publish(victim: string, { bundle, oneTimeKeys, oneTimeKemKeys }: Frame): void {
    const known = this.#published.get(victim) ?? { oneTimeKeys: [], oneTimeKemKeys: [] }
    if (typeof bundle === 'string') known.bundle = bundle
    if (Array.isArray(oneTimeKeys)) known.oneTimeKeys.push(...oneTimeKeys)
    if (Array.isArray(oneTimeKemKeys)) known.oneTimeKemKeys.push(...oneTimeKemKeys)
    this.#published.set(victim, known)
  }

  #trafficOf(victim: string): Traffic {
    const traffic = this.#traffic.get(victim) ?? { dials: [], framesBySecond: new Map() }
    this.#traffic.set(victim, traffic)
    return traffic
  }
}
