import { encodeQR } from 'qr'
import type { Paint } from '../base/paint.ts'

/** Light modules around the code, so that a camera finds it: ISO/IEC 18004 requires four. */
const quietModules = 4

/** Draws two modules of one column. The light ones are drawn, as on a dark terminal. */
const half = (upper: boolean, lower: boolean): string => {
  if (upper) return lower ? ' ' : '▄'
  return lower ? '▀' : '█'
}

/**
 * Draws a QR code for a terminal, two modules per character. With colours it is black on white on every terminal.
 * Without colours the dark modules stay empty, which is right on a dark terminal.
 */
export function drawQr(text: string, paint: Paint): string[] {
  const modules = encodeQR(text, 'raw', { border: quietModules })
  return modules.flatMap((upper, row) => {
    if (row % 2 === 1) return []
    const lower = modules[row + 1] ?? []
    return [paint.paper(upper.map((dark, column) => half(dark, lower[column] ?? false)).join(''))]
  })
}
