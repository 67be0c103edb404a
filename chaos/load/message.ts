import type { Random } from '../../tools/random.ts'

const maxPadding = 600

/** Returns the text of a message: its id, the canary, and padding of random length. */
export const messageText = (cid: string, canary: string, random: Random): string =>
  `${cid} ${canary} ${'.'.repeat(Math.floor(random.between(0, maxPadding)))}`

/** Returns the id of a message from its text. */
export const parseMessage = (text: string): string => text.split(' ', 1)[0] ?? ''
