import { escapeSequence } from '../util/escape.ts'
import { wholeEnd } from '../util/well-formed.ts'

/**
 * Characters that a model must not get as they are: terminal controls, changes of the text direction, and invisible
 * characters, which can carry hidden text. Tab, line ends, the joiners, the byte order mark and the variation selectors
 * of emoji pass, because texts need them. A flag of a region is an emoji with tags; other tags do not pass.
 */
const passing = '\\t\\n\\r\\u200c\\u200d\\ufeff\\ufe0e\\ufe0f'
const unsafe = `(?![${passing}])[\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}]`
const regionFlag = '\\u{1f3f4}[\\u{e0030}-\\u{e0039}\\u{e0061}-\\u{e007a}]{3,6}\\u{e007f}'
const pieces = new RegExp(`(${regionFlag})|(${unsafe})|\\\\`, 'gu')

/** A text for a model. If `escaped` is set, `unescapeText` returns the exact text; otherwise it is the exact text. */
export type ModelText = { text: string; escaped: boolean }

/**
 * Returns another agent's text for a model. Unsafe characters become `\xHH`, `\uHHHH` or `\u{H…}`; then each backslash
 * of the text is doubled, so that the change can be undone.
 */
export function toModelText(text: string): ModelText {
  let escaped = false
  const shown = text.replace(pieces, (_piece, flag: string | undefined, character: string | undefined) => {
    if (flag !== undefined) return flag
    if (character === undefined) return '\\\\'
    escaped = true
    return escapeSequence(character)
  })
  return escaped ? { text: shown, escaped } : { text, escaped }
}

/** Undoes the escapes of a text that is marked `escaped`. */
export const unescapeText = (text: string): string =>
  text.replace(/\\(?:\\|x([0-9a-f]{2})|u([0-9a-f]{4})|u\{([0-9a-f]{1,6})\})/g, (_all, two, four, many) => {
    const code = two ?? four ?? many
    return code === undefined ? '\\' : String.fromCodePoint(Number.parseInt(code, 16))
  })

/** A part of a text. `end` is the offset of the rest, and `more` its length, both in UTF-16 units. */
export type TextPart = ModelText & { end: number; more: number }

/** Returns the part of a text from `offset` on that takes at most `room` characters with its escapes. */
export function partOf(text: string, offset: number, room: number): TextPart {
  const start = Math.min(offset, text.length)
  for (let length = room; ; length = Math.floor(length / 2)) {
    const end = wholeEnd(text, Math.min(start + Math.max(length, 2), text.length))
    const part = toModelText(text.slice(start, end))
    if (part.text.length <= room || end - start <= 2) return { ...part, end, more: text.length - end }
  }
}
