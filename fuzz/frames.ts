import fc, { type Arbitrary } from 'fast-check'
import { clientFrames } from '../src/protocol/frames.ts'
import { fromSchema, type Known } from './from-schema.ts'
import { ruined, spoilt } from './odd-values.ts'

/** `text` is one frame; `bytes` are written to the TCP socket below the WebSocket. */
export type FuzzFrame = { kind: 'text'; text: string } | { kind: 'bytes'; bytes: Uint8Array }
/** The actions of one connection, in order, with or without a login. */
export type Conversation = { isLoggedIn: boolean; frames: readonly FuzzFrame[] }

/** Rare, because it ends the conversation. */
const rare = new Set(['logout', 'end_sessions'])

const validFrame = (known: Known): Arbitrary<unknown> =>
  fc.oneof(
    ...Object.entries(clientFrames).map(([type, { schema }]) => ({
      weight: rare.has(type) ? 1 : 50,
      arbitrary: fromSchema(schema, known),
    })),
  )

/** Headers of WebSocket frames, valid and invalid: any bits, wrong lengths, with and without a mask. */
const wireFrame: Arbitrary<Uint8Array> = fc
  .tuple(
    fc.nat(255),
    fc.oneof(fc.nat(255), fc.constantFrom(0x7e, 0x7f, 0xfe, 0xff, 0x80)),
    fc.uint8Array({ maxLength: 60 }),
  )
  .map(([first, second, rest]) => Uint8Array.from([first, second, ...rest]))

const text = (arbitrary: Arbitrary<string>): Arbitrary<FuzzFrame> =>
  arbitrary.map(each => ({ kind: 'text', text: each }))
const bytes = (arbitrary: Arbitrary<Uint8Array>): Arbitrary<FuzzFrame> =>
  arbitrary.map(each => ({ kind: 'bytes', bytes: each }))

/** Inputs after which the connection usually stays open. */
const frame = (valid: Arbitrary<unknown>): Arbitrary<FuzzFrame> =>
  fc.oneof(
    { weight: 2, arbitrary: text(valid.map(value => JSON.stringify(value))) },
    { weight: 1, arbitrary: text(spoilt(valid)) },
  )

/** Inputs that end the connection. */
const lastFrame = (valid: Arbitrary<unknown>): Arbitrary<FuzzFrame> =>
  fc.oneof(
    text(ruined(valid)),
    text(fc.string({ unit: 'binary', maxLength: 200 })),
    bytes(wireFrame),
    bytes(fc.uint8Array({ maxLength: 300 })),
  )

export function conversation(known: Known): Arbitrary<Conversation> {
  const valid = validFrame(known)
  const frames = fc.array(frame(valid), { minLength: 100, maxLength: 200, size: 'max' })
  return fc
    .tuple(fc.nat(9), frames, fc.array(lastFrame(valid), { maxLength: 2 }))
    .map(([luck, some, last]) => ({ isLoggedIn: luck > 0, frames: [...some, ...last] }))
}
