import { encodeQR } from 'qr'
import type { Paint } from './paint.ts'

/** Light modules around the code, so that a camera finds it: ISO/IEC 18004 asks for four. */
const quietModules = 4

/** Two modules of one column: [upper, lower], dark or not. Light ones are drawn, as on a dark terminal. */
const half = (upper: boolean, lower: boolean): string => {
  if (upper) return lower ? ' ' : '▄'
  return lower ? '▀' : '█'
}

/**
 * A QR code of text for a terminal, two modules to a character. Where there are colours it is black on white whatever the
 * terminal's own are; without, dark modules are left empty, which a dark terminal shows the right way round.
 */
export function drawQr(text: string, paint: Paint): string[] {
  const modules = encodeQR(text, 'raw', { border: quietModules })
  return modules.flatMap((upper, row) => {
    if (row % 2 === 1) return []
    const lower = modules[row + 1] ?? []
    return [paint.paper(upper.map((dark, column) => half(dark, lower[column] ?? false)).join(''))]
  })
}
