import type { Random } from '../random.ts'

const maxPadding = 600

/** The text of a message: its name, what must be found nowhere, and some length. */
export const messageText = (cid: string, canary: string, random: Random): string =>
  `${cid} ${canary} ${'.'.repeat(Math.floor(random.between(0, maxPadding)))}`

/** The name of a message, from its text. */
export const parseMessage = (text: string): string => text.split(' ', 1)[0] ?? ''
