import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { HttpClient } from '../tools/clients/http-client.ts'
import type { User } from '../tools/clients/raw-client.ts'
import type { Owner } from '../tools/servers/redis.ts'
import { HttpCaller } from './call.ts'
import { Findings } from './findings.ts'
import { conversation } from './frames.ts'
import { request } from './requests.ts'
import { talk } from './talk.ts'
import { residentBytes, startWorld, unforeseen, type World } from './world.ts'

type FuzzOptions = { frames: number; requests: number; seed: number }
export type FuzzReport = {
  frames: number
  requests: number
  answers: ReadonlyMap<string, number>
  /** The violations; each line contains its input. */
  faults: readonly string[]
  faultCount: number
  /** Resident memory of the node, in bytes: after the first tenth, and at the end. */
  warmBytes: number
  endBytes: number
}
export type Progress = (frames: number, requests: number, residentBytes: number) => void

/** Conversations and requests in parallel: few enough to notice one that hangs. */
const atOnce = 24
/** The number of inputs of one sample. */
const conversationsPerSample = 50
const requestsPerSample = 500

/** Runs frames, then requests, against a node in its own process. The same seed gives the same inputs. */
export async function fuzz(owner: Owner, options: FuzzOptions, progress: Progress = () => {}): Promise<FuzzReport> {
  const world = await startWorld(owner)
  const findings = new Findings()
  const memory = new Memory(world.node.pid)
  const frames = await sendFrames(world, findings, options, done => {
    memory.note(done / options.frames)
    progress(done, 0, residentBytes(world.node.pid))
  })
  const requests = await sendRequests(world, findings, options, done =>
    progress(frames, done, residentBytes(world.node.pid)),
  )
  memory.note(1)
  for (const line of unforeseen(world.node.logs())) findings.fault('the node logged', line)
  const live = await fetch(`${world.node.url}/health/ready`).catch(() => undefined)
  if (!live?.ok) findings.fault('the node has ended', world.node.logs().slice(-20))
  const { answers, faults, faultCount } = findings
  return { frames, requests, answers, faults, faultCount, warmBytes: memory.warmBytes, endBytes: memory.endBytes }
}

/** After a tenth of the frames the process is warm. */
class Memory {
  readonly #pid: number
  warmBytes = 0
  endBytes = 0

  constructor(pid: number) {
    this.#pid = pid
  }

  note(share: number): void {
    const bytes = residentBytes(this.#pid)
    if (share <= 0.1 || this.warmBytes === 0) this.warmBytes = Math.max(this.warmBytes, bytes)
    this.endBytes = bytes
  }
}

async function sendFrames(
  world: World,
  findings: Findings,
  { frames, seed }: FuzzOptions,
  onProgress: (done: number) => void,
) {
  const arbitrary = conversation(world.known)
  let done = 0
  for (let sample = 0; done < frames; sample += 1) {
    const inputs = fc.sample(arbitrary, { seed: seed + sample, numRuns: conversationsPerSample })
    await inParallel(inputs, async (input, at) => {
      const user = world.users[at % world.users.length]
      if (!user || done >= frames) return
      const sent = await talk(world, findings, user, input)
      done += sent
    })
    onProgress(done)
  }
  return done
}

async function sendRequests(
  world: World,
  findings: Findings,
  { requests, seed }: FuzzOptions,
  onProgress: (done: number) => void,
) {
  const caller = new HttpCaller(world, findings)
  const arbitrary = request(world.known, world.operatorKnown)
  let done = 0
  for (let sample = 0; done < requests; sample += 1) {
    const inputs = fc.sample(arbitrary, { seed: seed + sample, numRuns: Math.min(requestsPerSample, requests - done) })
    // Some calls log out, and wards are deleted or blocked: each sample begins with new tokens where possible.
    const tokens = await Promise.all([...world.users, ...world.wards].map(user => tokenOf(world.node.url, user)))
    await inParallel(inputs, (input, at) => caller.call(input, tokens[at % tokens.length] ?? ''))
    done += inputs.length
    onProgress(done)
  }
  caller.close()
  return done
}

/** All users log in from one address, which may exceed its rate on a fast machine: waits and retries then. */
async function tokenOf(url: string, user: User): Promise<string> {
  for (;;) {
    const { status, body, headers } = await new HttpClient(url).register(user)
    if (status !== 429) return String(body.token)
    await delay(Number(headers.get('retry-after')) * 1_000)
  }
}

async function inParallel<Input>(
  inputs: readonly Input[],
  work: (input: Input, at: number) => Promise<void>,
): Promise<void> {
  const entries = inputs.entries()
  const worker = async () => {
    for (const [at, input] of entries) await work(input, at)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}
