import type { Middle, Relay } from '../../tools/net/frame-proxy.ts'
import { type Random, seededRandom } from '../../tools/random.ts'
import { errorFor, type Inventions, notAFrame, oddClose, oddRefusal } from './inventions.ts'
import { type Frame, mutate } from './mutate.ts'
import { type Direction, hash, type Scene } from './scene.ts'

/** Limits of a delay, ms: below a request's time-out, and above the time that an honest answer takes. */
const minDelayMs = 5
const maxDelayMs = 2_000
/** How long a frame waits for the next one with which it changes places, ms. */
const swapMs = 1_000

type Lie = { weight: number; name: string; tell(connection: LyingConnection, frame: Frame, random: Random): boolean }

/** One connection of a victim. Decides for each frame whether, and how, it lies. */
export class LyingConnection implements Relay {
  readonly scene: Scene
  readonly victim: string
  readonly inventions: Inventions
  readonly middle: Middle
  readonly #random: Record<Direction, Random>
  readonly #held: Partial<Record<Direction, Frame>> = {}
  /** The `seq` of the last push that the client got, and of the last one of the node. */
  #shownSeq = 0
  #realSeq = 0
  /** True if the node's `prev` is no longer what the client expects, and the next push must hide it. */
  #mustHide = false

  constructor(scene: Scene, victim: string, inventions: Inventions, middle: Middle) {
    this.scene = scene
    this.victim = victim
    this.inventions = inventions
    this.middle = middle
    const count = scene.noteDial(victim)
    const randomOf = (direction: Direction) => seededRandom(hash(`${scene.seed} ${victim} ${count} ${direction}`))
    this.#random = { up: randomOf('up'), down: randomOf('down') }
    scene.connections.add(this)
  }

  end(): void {
    this.middle.end()
  }

  closed(): void {
    this.scene.connections.delete(this)
  }

  fromClient(text: string): void {
    this.scene.noteFrame(this.victim)
    this.#take('up', text)
  }

  fromNode(text: string): void {
    this.#take('down', text)
  }

  /** Passes a frame on as it is, except for the numbers that hide earlier lies. */
  pass(direction: Direction, frame: Frame): void {
    if (direction === 'down') this.middle.toClient(JSON.stringify(isPush(frame) ? this.#renumbered(frame) : frame))
    else if (frame.type === 'ack' && frame.seq === this.#shownSeq) this.middle.toNode(this.#realAck(frame))
    else this.middle.toNode(JSON.stringify(frame))
  }

  /** Pushes an envelope as the next one of the inbox. */
  push(frame: Frame): void {
    const prev = this.#shownSeq
    this.#shownSeq = prev + 1
    this.#mustHide = true
    this.middle.toClient(JSON.stringify({ ...frame, seq: this.#shownSeq, prev }))
  }

  /** Drops a push so that the numbers of the later ones do not show it. */
  hide(frame: Frame): void {
    this.#realSeq = Number(frame.seq)
    this.#mustHide = true
  }

  hold(direction: Direction, frame: Frame): void {
    this.#held[direction] = frame
    this.later(swapMs, () => this.#release(direction))
  }

  later(ms: number, act: () => void): void {
    setTimeout(() => {
      if (!this.scene.isHonest) act()
    }, ms).unref()
  }

  #take(direction: Direction, text: string): void {
    const frame = JSON.parse(text) as Frame
    const { scene, victim } = this
    scene.remember(victim, direction, frame)
    if (scene.isHonest) return this.pass(direction, frame)
    if (direction === 'up' && frame.type === 'send' && scene.isFooled(victim, frame.to, frame.body)) {
      scene.count(victim, direction, `send to ${frame.to}: read by the impostor`)
      return this.middle.toClient(JSON.stringify({ type: 'accepted', id: frame.id, seq: 1, queued: false }))
    }
    const random = this.#random[direction]
    if (random.next() >= scene.rate || !this.#lie(direction, frame, random)) this.pass(direction, frame)
    if (this.#held[direction] && this.#held[direction] !== frame) this.#release(direction)
  }

  #lie(direction: Direction, frame: Frame, random: Random): boolean {
    const lie = weighted(direction === 'up' ? liesToNode : liesToClient, random)
    if (!lie.tell(this, frame, random)) return false
    this.scene.count(this.victim, direction, `${frame.type}: ${lie.name}`)
    return true
  }

  #release(direction: Direction): void {
    const held = this.#held[direction]
    delete this.#held[direction]
    if (held) this.pass(direction, held)
  }

  #renumbered(frame: Frame): Frame {
    const shown = this.#mustHide ? { ...frame, prev: this.#shownSeq } : frame
    this.#mustHide = false
    this.#realSeq = Number(frame.seq)
    this.#shownSeq = this.#realSeq
    return shown
  }

  /** An invented push has no number at the node. */
  #realAck(frame: Frame): string {
    return JSON.stringify({ ...frame, seq: this.#realSeq })
  }
}

const isPush = ({ type }: Frame): boolean => type === 'message' || type === 'key_exchange'

function weighted(lies: readonly Lie[], random: Random): Lie {
  let left = random.next() * lies.reduce((sum, { weight }) => sum + weight, 0)
  const found = lies.find(({ weight }) => {
    left -= weight
    return left < 0
  })
  return found ?? random.pick(lies)
}

/** Lies about a frame that either side can get. `tell` returns false if it does not fit the frame. */
const common = (direction: Direction): Lie[] => [
  { weight: 3, name: 'drop', tell: () => true },
  {
    weight: 3,
    name: 'delay',
    tell: (connection, frame, random) => {
      connection.later(random.between(minDelayMs, maxDelayMs), () => connection.pass(direction, frame))
      return true
    },
  },
  {
    weight: 2,
    name: 'double',
    tell: (connection, frame) => {
      connection.pass(direction, frame)
      connection.pass(direction, frame)
      return true
    },
  },
  {
    weight: 3,
    name: 'swap',
    tell: (connection, frame) => {
      connection.hold(direction, frame)
      return true
    },
  },
  {
    weight: 3,
    name: 'replay',
    tell: (connection, frame, random) => {
      const old = random.pick(connection.scene.past[direction])
      connection.pass(direction, frame)
      if (direction === 'down' && isPush(old) && random.next() < 0.6) connection.push(old)
      else connection.pass(direction, old)
      return true
    },
  },
  {
    weight: 8,
    name: 'change',
    tell: (connection, frame, random) => {
      connection.pass(direction, mutate(frame, random, connection.scene.material()))
      return true
    },
  },
  {
    weight: 1,
    name: 'close',
    tell: ({ middle }, _frame, random) => {
      middle.end(...oddClose(random))
      return true
    },
  },
]

const liesToClient: readonly Lie[] = [
  ...common('down'),
  {
    weight: 2,
    name: 'drop, hidden',
    tell: (connection, frame) => {
      if (isPush(frame)) connection.hide(frame)
      return isPush(frame)
    },
  },
  {
    weight: 4,
    name: 'error',
    tell: ({ middle }, frame, random) => {
      middle.toClient(JSON.stringify(errorFor(frame.id, random)))
      return true
    },
  },
  {
    weight: 3,
    name: 'invented frame',
    tell: (connection, frame, random) => {
      const { inventions, scene, middle } = connection
      connection.pass('down', frame)
      const invented = inventions.anyFrame(random, scene.victims)
      const id = random.next() < 0.5 ? { id: random.pick([...scene.material().ids, 'x']) } : {}
      if (isPush(invented)) connection.push(invented)
      else middle.toClient(JSON.stringify({ ...invented, ...id }))
      return true
    },
  },
  {
    weight: 1,
    name: 'not a frame',
    tell: ({ middle }, _frame, random) => {
      middle.toClient(notAFrame(random))
      return true
    },
  },
  {
    weight: 8,
    name: 'forged keys or card',
    tell: ({ middle, scene, victim }, frame, random) => {
      if (frame.type !== 'keys' && frame.type !== 'card') return false
      const impostor = scene.impostorOf(String(frame.username), victim)
      const forged = frame.type === 'keys' ? impostor.keys(frame.id) : { ...frame, card: impostor.card() }
      middle.toClient(JSON.stringify(random.next() < 0.9 ? forged : mutate(forged, random, scene.material())))
      return true
    },
  },
  {
    weight: 3,
    name: 'message of an impostor',
    tell: (connection, frame, random) => {
      const { scene, victim } = connection
      const name = random.pick(scene.victims.filter(each => each !== victim))
      const body = scene.impostorOf(name, victim).speak(scene.publishedBy(victim))
      if (body === undefined || !isPush(frame)) return false
      connection.pass('down', frame)
      connection.push({
        type: 'message',
        id: `f${Math.floor(random.next() * 1e9)}`,
        from: name,
        body,
        sentAt: Date.now(),
      })
      return true
    },
  },
]

const liesToNode: readonly Lie[] = [
  ...common('up'),
  {
    weight: 8,
    name: 'answered without the node',
    tell: ({ inventions, middle, scene, victim }, frame, random) => {
      const answer = inventions.answerTo(frame, random, scene.victims)
      if (!answer) return false
      if (answer.type === 'authenticated') answer.username = victim
      const other = scene.victims.includes(String(frame.username)) ? String(frame.username) : undefined
      const forged = other !== undefined && other !== victim && answer.type === 'keys'
      middle.toClient(JSON.stringify(forged ? scene.impostorOf(other, victim).keys(frame.id) : answer))
      return true
    },
  },
]

/** Returns an HTTP answer in place of an upgrade, now and then. */
export function refusalFor(scene: Scene, victim: string, count: number): string | undefined {
  const random = seededRandom(hash(`${scene.seed} ${victim} ${count} refuse`))
  if (scene.isHonest || random.next() >= scene.rate / 3) return undefined
  scene.count(victim, 'down', 'upgrade refused')
  return oddRefusal(random)
}
