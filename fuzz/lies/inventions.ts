import fc from 'fast-check'
import { closeCodes, errors } from '../../src/protocol/errors.ts'
import { type ClientFrameType, clientFrames, type ServerFrameType, serverFrames } from '../../src/protocol/frames.ts'
import type { Random } from '../../tools/random.ts'
import { fromSchema } from '../from-schema.ts'
import { hostileTexts } from './hostile.ts'
import type { Frame } from './mutate.ts'

/** Frames of each type that the schemas allow, made once for a run. */
const perType = 40
const numbers: readonly number[] = [0, 1, 3, 1_000, 2 ** 31, 2 ** 52, Number.MAX_SAFE_INTEGER]
const retries: readonly unknown[] = [null, null, 0, 0.001, 1, 3, 2 ** 53, 1e308, -1]
const codes = [...Object.keys(errors), 'made_up', '__proto__', '']
/** 1006 stands for an end without a closing handshake. */
const closes: readonly number[] = [
  1006,
  ...Object.values(closeCodes).map(({ code }) => code),
  ...[1001, 1002, 1003, 1007, 1008, 1011, 1012, 1013, 3000, 4000, 4999],
]
/** A close reason has at most 123 bytes. */
const maxReasonChars = 30

/** Texts in place of a frame. */
const notFrames: readonly (string | Uint8Array)[] = [
  '',
  '{',
  'null',
  '[]',
  '"x"',
  '{"type":"message"}',
  '{"type":"toString"}',
  `{"type":"error","code":"internal","message":"\ufeff","id":{}}`,
  `${'['.repeat(5_000)}`,
  `{"type":"stopped","id":"x","x":"${'A'.repeat(200_000)}"}`,
  new Uint8Array([0, 255, 254]),
]

/** Makes frames of a node, and other answers, from nothing but the schemas. */
export class Inventions {
  readonly #frames: ReadonlyMap<string, readonly Frame[]>

  constructor(seed: number) {
    this.#frames = new Map(
      Object.entries(serverFrames).map(([type, schema]) => [
        type,
        fc.sample(fromSchema(schema, {}), { seed, numRuns: perType }) as Frame[],
      ]),
    )
  }

  /** Returns a valid frame with names and numbers of the conversation. */
  frame(type: string, random: Random, names: readonly string[]): Frame {
    const frame: Frame = structuredClone(random.pick(this.#frames.get(type) ?? []))
    for (const field of ['username', 'from'])
      if (field in frame && random.next() < 0.8) frame[field] = random.pick(names)
    for (const field of ['upTo', 'reserved', 'oneTimeKeys', 'oneTimeKemKeys', 'queued', 'epoch', 'seq', 'expiresAt'])
      if (typeof frame[field] === 'number' && random.next() < 0.7) frame[field] = random.pick(numbers)
    if ('generation' in frame) frame.generation = random.pick(['g', ...hostileTexts])
    if ('domain' in frame) frame.domain = random.pick(['localhost', 'localhost', ...hostileTexts])
    if (Array.isArray(frame.users)) frame.users = frame.users.map(user => ({ ...user, username: random.pick(names) }))
    return frame
  }

  /** Returns a frame that no request asked for. */
  anyFrame(random: Random, names: readonly string[]): Frame {
    return this.frame(random.pick(Object.keys(serverFrames)), random, names)
  }

  /** Returns an answer of the right type to a request, although the node has not seen it. */
  answerTo(request: Frame, random: Random, names: readonly string[]): Frame | undefined {
    const type = replyTo(request.type)
    return type && { ...this.frame(type, random, names), id: request.id }
  }
}

function replyTo(type: string): ServerFrameType | undefined {
  const known = Object.hasOwn(clientFrames, type) ? clientFrames[type as ClientFrameType] : undefined
  return known?.reply ?? undefined
}

export function errorFor(id: unknown, random: Random): Frame {
  const retryAfter = random.pick(retries)
  return {
    type: 'error',
    ...(id !== undefined && { id }),
    code: random.pick(codes),
    message: random.pick(hostileTexts),
    ...(retryAfter !== null && { retryAfter }),
  }
}

export const notAFrame = (random: Random): string | Uint8Array => random.pick(notFrames)

export const oddClose = (random: Random): [code: number, reason: string] => [
  random.pick(closes),
  random.pick(['', ...hostileTexts.map(text => text.replace(/[\ud800-\udfff]/g, '').slice(0, maxReasonChars))]),
]

/** An HTTP answer in place of an upgrade. */
export function oddRefusal(random: Random): string {
  const status = random.pick([
    '200 OK',
    '301 Moved',
    '401 No',
    '403 No',
    '404 No',
    '429 Later',
    '500 Oops',
    '503 Later',
  ])
  const header = random.pick(['', 'retry-after: 1\r\n', 'retry-after: 1e308\r\n', 'location: http://127.0.0.1:9/\r\n'])
  const whole = `HTTP/1.1 ${status}\r\n${header}content-length: 5\r\nconnection: close\r\n\r\nhello`
  return random.next() < 0.2 ? 'HTTP/9 garbage\r\n\r\n' : whole
}
