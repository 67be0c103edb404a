import type { PeerIdentity } from '../../client/node.ts'
import { escapeLine } from '../../util/escape.ts'
import type { Paint } from './paint.ts'
import { drawQr } from './qr.ts'

/** Groups of five digits in a row: 60 digits are four rows. */
const groupsPerRow = 4

/** A safety number as people read it to each other. */
export function numberRows(safetyNumber: string): string[] {
  const groups = safetyNumber.match(/.{1,5}/g) ?? []
  return Array.from({ length: Math.ceil(groups.length / groupsPerRow) }, (_, row) =>
    groups.slice(row * groupsPerRow, (row + 1) * groupsPerRow).join(' '),
  )
}

const trustTexts: Record<PeerIdentity['trust'], (paint: Paint) => string> = {
  verified: paint => paint.green('verified: the key was compared'),
  'first-use': paint => paint.yellow('first-use: the key is the one met first, and was not compared'),
  changed: paint => paint.red('changed: another key came under this name; nothing is sent or shown until you decide'),
}

type Key = { identity: string; safetyNumber: string }

const drawKey = ({ identity, safetyNumber }: Key, title: string): string[] => [
  title,
  ...numberRows(safetyNumber).map(row => `    ${row}`),
  `    identity key ${identity}`,
]

/** Where the number cannot be scanned there is no use in drawing it. */
const drawCode = (safetyNumber: string, paint: Paint, columns: number | undefined): string[] => {
  if (columns === undefined) return []
  const rows = drawQr(safetyNumber, paint)
  return ['', ...rows]
}

/** Who a peer is known as. The QR code, on a terminal, is of the number that is to be compared. */
export function drawPeer(peer: PeerIdentity, paint: Paint, columns: number | undefined): string[] {
  const { address, trust, seen } = peer
  return [
    `${paint.bold(escapeLine(address))}  ${trustTexts[trust](paint)}`,
    ...drawKey(peer, seen ? 'safety number of the key that is known' : 'safety number'),
    ...(seen ? drawKey(seen, 'safety number of the key that came now') : []),
    ...drawCode((seen ?? peer).safetyNumber, paint, columns),
  ]
}
