/**
 * Replies of Redis are `unknown` until one of these functions has checked them. A wrong shape is a defect in a script.
 */
const wrong = (reply: unknown, wanted: string): TypeError =>
  new TypeError(`Redis answered ${reply === null ? 'null' : typeof reply} instead of ${wanted}`)

export function asString(reply: unknown): string {
  if (typeof reply === 'string') return reply
  if (typeof reply === 'number') return String(reply)
  throw wrong(reply, 'a string')
}

export const asNumber = (reply: unknown): number => {
  const number = Number(asString(reply))
  if (!Number.isFinite(number)) throw wrong(reply, 'a number')
  return number
}

export function asArray(reply: unknown): unknown[] {
  if (Array.isArray(reply)) return reply
  throw wrong(reply, 'an array')
}

export const asStrings = (reply: unknown): string[] => asArray(reply).map(asString)

export const orNull = <Value>(reply: unknown, read: (reply: unknown) => Value): Value | null =>
  reply === null || reply === undefined ? null : read(reply)
