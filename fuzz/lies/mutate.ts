import { decodeBase64Url, encodeBase64Url } from '../../src/util/bytes.ts'
import type { Random } from '../../tools/random.ts'
import { hostileTexts } from './hostile.ts'

/** A frame of either side, before any check. */
export type Frame = Record<string, unknown> & { type: string }
/** Values of the same conversation, to put in place of others. */
export type Material = { names: readonly string[]; ids: readonly string[]; bodies: readonly string[] }

const numbers: readonly unknown[] = [0, -1, 1, 0.5, 2 ** 31, 2 ** 52, 2 ** 53 - 1, 2 ** 53, 1e308, null, '1']
const names: readonly string[] = ['', 'nobody-at-all', 'A:b', '__proto__', 'constructor', 'x'.repeat(33), '../../x']
const odd: readonly unknown[] = [null, true, '', 0, [], {}, [[[[[[[]]]]]]], 'A'.repeat(5_000), '\u0000', '\ud800']
/** More than any page, and more than fits one frame as objects. */
const hugeLength = 5_000
const nameFields = new Set(['from', 'to', 'username', 'cursor', 'prefix'])
const binaryFields = new Set(['body', 'bundle', 'card', 'key', 'signature', 'nonce', 'token', 'identity'])
const textFields = new Set(['message', 'code', 'domain', 'generation', 'instance', 'title'])

type Holder = Record<string, unknown>

const isObject = (value: unknown): value is Holder => typeof value === 'object' && value !== null

/** Returns the objects and lists in a frame, the frame itself first. */
function holders(value: Holder): Holder[] {
  return [value, ...Object.values(value).flatMap(inner => (isObject(inner) ? holders(inner) : []))]
}

/** Returns a copy of a frame in which one field, at any depth, is missing, wrong, foreign or hostile. */
export function mutate(frame: Frame, random: Random, material: Material): Frame {
  const copy: Frame = structuredClone(frame)
  const holder = random.pick(holders(copy).filter(each => Object.keys(each).length > 0))
  const field = random.pick(Object.keys(holder))
  if (holder === copy && field === 'type' && random.next() < 0.7) return mutate(frame, random, material)
  if (random.next() < 0.08) delete holder[field]
  else holder[field] = instead(field, holder[field], random, material)
  return copy
}

function instead(field: string, value: unknown, random: Random, material: Material): unknown {
  if (random.next() < 0.1) return random.pick(odd)
  if (typeof value === 'number') return random.next() < 0.3 ? value + random.pick([1, -1, 1_000]) : random.pick(numbers)
  if (typeof value === 'boolean') return !value
  if (Array.isArray(value)) return random.next() < 0.5 ? [] : lengthened(value)
  if (nameFields.has(field)) return random.pick([...material.names, ...material.names, ...names])
  if (field === 'id') return random.pick([...material.ids, 'x', 'x'.repeat(65)])
  if (binaryFields.has(field) && typeof value === 'string') return spoilt(value, random, material)
  if (textFields.has(field)) return random.pick(hostileTexts)
  return random.pick(odd)
}

const lengthened = (items: readonly unknown[]): unknown[] =>
  Array.from({ length: hugeLength }, (_, at) => items[at % Math.max(1, items.length)] ?? at)

/** Bytes with a flipped bit, cut short, or those of another frame. */
function spoilt(text: string, random: Random, { bodies }: Material): string {
  const choice = random.next()
  if (choice < 0.3 && bodies.length > 0) return random.pick(bodies)
  if (choice < 0.5) return text.slice(0, Math.floor(random.next() * text.length))
  return flipped(text, random)
}

export function flipped(text: string, random: Random): string {
  try {
    const bytes = decodeBase64Url(text)
    const at = Math.floor(random.next() * bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random.next() * 8))
    return encodeBase64Url(bytes)
  } catch {
    return `${text}!`
  }
}
