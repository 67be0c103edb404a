/**
 * Characters that a terminal would interpret or a reader would misread: C0, DEL and C1 controls, line and paragraph
 * separators, and characters that are invisible or change the text direction. The variation selectors U+FE0E and U+FE0F
 * are allowed: emoji need them.
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]|(?![\ufe0e\ufe0f])\p{Default_Ignorable_Code_Point}/gu
const unsafeInJson = new RegExp(unsafe.source, unsafe.flags)

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0')

/** Returns an escape such as `\x1b`, `\u202e` or `\u{e0001}`. */
export function escapeSequence(character: string): string {
  const code = character.codePointAt(0) ?? 0
  if (code <= 0xff) return `\\x${hex(code, 2)}`
  return code <= 0xffff ? `\\u${hex(code, 4)}` : `\\u{${hex(code, 1)}}`
}

/** Makes untrusted text safe for one line of a terminal: shows control characters as escapes. */
export const escapeLine = (text: string): string => text.replace(unsafe, escapeSequence)

/** As `escapeLine`, for several lines: `\n` separates them, all other controls are shown. */
export const escapeLines = (text: string): string[] => text.split('\n').map(escapeLine)

/** Encodes one line of JSON without characters that a terminal interprets. It parses to the same value. */
export const encodeJsonLine = (value: unknown): string =>
  JSON.stringify(value).replace(unsafeInJson, text =>
    Array.from({ length: text.length }, (_, index) => `\\u${hex(text.charCodeAt(index), 4)}`).join(''),
  )

/** Returns an upper bound of a character's width in columns: only ASCII is certain to take one. */
const columnsOf = (character: string): number => (character.length === 1 && character <= '~' ? 1 : 2)

/** Splits an escaped line into rows of at most `columns` columns, so that the terminal does not wrap it. */
export function wrap(line: string, columns: number): string[] {
  const rows: string[] = []
  let row = ''
  let used = 0
  for (const character of line) {
    const width = columnsOf(character)
    if (used + width > columns && row !== '') {
      rows.push(row)
      row = ''
      used = 0
    }
    row += character
    used += width
  }
  return [...rows, row]
}
