import { StateError } from './state-error.ts'
import type { ListOptions } from './state-store.ts'

/** Only ASCII, so that bytes, JavaScript strings and IndexedDB keys sort alike. */
const keyPattern = /^[\x20-\x7e]{1,200}$/
const prefixPattern = /^[\x20-\x7e]{0,200}$/

/** Sorts after every key with the same prefix. */
const afterEveryKey = '\x7f'

/** @throws {StateError} `invalid` */
export function checkKey(key: string): void {
  if (!keyPattern.test(key)) {
    throw new StateError('invalid', 'A state key must be 1 to 200 printable ASCII characters.')
  }
}

/** @throws {StateError} `invalid` */
export function checkValue(value: Uint8Array): void {
  if (!(value instanceof Uint8Array)) throw new StateError('invalid', 'A state value must be a Uint8Array.')
}

/** The key range of a listing. Includes `from` unless `fromExcluded`; excludes `to`. */
export interface KeyRange {
  from: string
  fromExcluded: boolean
  to: string
  limit: number
  reverse: boolean
}

/**
 * Returns the bounds of a listing. They are ascending also if the listing is reversed.
 * @throws {StateError} `invalid`
 */
export function keyRange(
  prefix: string,
  { after, limit = Number.POSITIVE_INFINITY, reverse = false }: ListOptions = {},
): KeyRange {
  if (!prefixPattern.test(prefix))
    throw new StateError('invalid', 'A state prefix must be at most 200 printable ASCII characters.')
  if (after !== undefined) checkKey(after)
  if (!(limit >= 0)) throw new StateError('invalid', 'A state listing needs a limit of 0 or more.')
  const end = prefix + afterEveryKey
  if (after === undefined) return { from: prefix, fromExcluded: false, to: end, limit, reverse }
  if (reverse) return { from: prefix, fromExcluded: false, to: after < end ? after : end, limit, reverse }
  const inside = after >= prefix
  return { from: inside ? after : prefix, fromExcluded: inside, to: end, limit, reverse }
}

export function inRange(key: string, range: KeyRange): boolean {
  return (range.fromExcluded ? key > range.from : key >= range.from) && key < range.to
}

export function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
