import type { KeyDecision, PeerIdentity, Withheld } from '../../client/node.ts'
import { escapeLine } from '../../util/escape.ts'
import type { Paint } from '../base/paint.ts'
import { drawQr } from './qr.ts'

/** Groups of five digits per row: 60 digits make three rows. */
const groupsPerRow = 4

/** Returns a safety number in rows of groups, easy to read aloud. */
export function numberRows(safetyNumber: string): string[] {
  const groups = safetyNumber.match(/.{1,5}/g) ?? []
  return Array.from({ length: Math.ceil(groups.length / groupsPerRow) }, (_, row) =>
    groups.slice(row * groupsPerRow, (row + 1) * groupsPerRow).join(' '),
  )
}

const trustTexts: Record<PeerIdentity['trust'], (paint: Paint) => string> = {
  verified: paint => paint.green('verified: the key was compared'),
  'first-use': paint => paint.yellow('first-use: the first key seen for this name; it was not compared'),
  changed: paint =>
    paint.red('changed: another key was used under this name; nothing is sent or shown until you decide'),
}

type Key = { identity: string; safetyNumber: string }

const drawKey = ({ identity, safetyNumber }: Key, title: string): string[] => [
  title,
  ...numberRows(safetyNumber).map(row => `    ${row}`),
  `    identity key ${identity}`,
]

/** Only a terminal shows a code that a camera can scan. */
const drawCode = (safetyNumber: string, paint: Paint, columns: number | undefined): string[] => {
  if (columns === undefined) return []
  const rows = drawQr(safetyNumber, paint)
  return ['', ...rows]
}

/** Returns what a decision about a key did to messages; no row for what it did not do. */
export function decisionRows(done: KeyDecision | undefined): string[] {
  if (!done) return []
  const { resent, dropped, withheld, restored } = done
  return [
    ...(resent > 0 ? [`messages that are sent to the new key: ${resent}`] : []),
    ...(dropped > 0 ? [`messages that were given up: ${dropped}`] : []),
    ...(withheld > 0 ? [`unread messages that came under another key, and are not shown: ${withheld}`] : []),
    ...(restored > 0 ? [`messages that came under this key, and are shown again: ${restored}`] : []),
  ]
}

/** Returns one line about messages that are not shown because of their key. */
export function withheldText({ from, reason, messages }: Withheld): string {
  if (reason === 'rejected') return `${messages} messages of ${from} came under a key that you have rejected: not shown`
  return `${messages} messages of ${from} are not shown: its key has changed; decide with "aimessage verify ${from}"`
}

/** Returns a peer's trust and keys. On a terminal, a QR code has the number to compare. */
export function drawPeer(peer: PeerIdentity, paint: Paint, columns: number | undefined): string[] {
  const { address, trust, seen } = peer
  return [
    `${paint.bold(escapeLine(address))}  ${trustTexts[trust](paint)}`,
    ...drawKey(peer, seen ? 'safety number of the known key' : 'safety number'),
    ...(seen ? drawKey(seen, 'safety number of the new key') : []),
    ...drawCode((seen ?? peer).safetyNumber, paint, columns),
  ]
}
