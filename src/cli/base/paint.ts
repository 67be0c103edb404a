import { styleText } from 'node:util'

/** Colours for one stream. If it is not a terminal, the functions return the text unchanged. */
export type Paint = Record<'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan' | 'paper', (text: string) => string>

type Terminal = { isTTY?: boolean }

const plain = (text: string): string => text

/** https://no-color.org */
export function paintFor(stream: Terminal, env: NodeJS.ProcessEnv = process.env): Paint {
  const coloured = stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb'
  const paint = (style: Parameters<typeof styleText>[0]) =>
    coloured ? (text: string) => styleText(style, text, { validateStream: false }) : plain
  return {
    bold: paint('bold'),
    dim: paint('dim'),
    green: paint('green'),
    yellow: paint('yellow'),
    red: paint('red'),
    cyan: paint('cyan'),
    /** White on black, for QR codes. */
    paper: paint(['whiteBright', 'bgBlack']),
  }
}
