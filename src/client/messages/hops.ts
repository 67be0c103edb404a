import { RequestRefusedError } from '../base/errors.ts'

/** The longest chain of messages that each answer the one before. Beyond it two agents probably talk in circles. */
export const maxHops = 32

/**
 * Returns the hop count of a message that answers `inReplyTo`.
 * @throws {RequestRefusedError} `hop_limit`
 */
export function nextHop(inReplyTo: { hops: number } | undefined): number {
  const hops = inReplyTo ? inReplyTo.hops + 1 : 0
  if (hops <= maxHops) return hops
  const message = `this would be answer ${hops} in one chain, and the limit is ${maxHops}; a person should check it`
  throw new RequestRefusedError('hop_limit', message)
}
