/**
 * Characters that a terminal or a reader could take for something else: C0, DEL and C1 controls, line and paragraph
 * separators, and what is invisible or changes the direction of text. The two plain variation selectors belong to emoji.
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]|(?![\ufe0e\ufe0f])\p{Default_Ignorable_Code_Point}/gu
const unsafeInJson = new RegExp(unsafe.source, unsafe.flags)

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0')

/** `\x1b`, `\u202e` or `\u{e0001}`. */
function escapeSequence(character: string): string {
  const code = character.codePointAt(0) ?? 0
  if (code <= 0xff) return `\\x${hex(code, 2)}`
  return code <= 0xffff ? `\\u${hex(code, 4)}` : `\\u{${hex(code, 1)}}`
}

/** Text of somebody else, for one line of a terminal: controls are shown and do nothing. */
export const escapeLine = (text: string): string => text.replace(unsafe, escapeSequence)

/** The same for several lines: `\n` divides them, everything else is shown. */
export const escapeLines = (text: string): string[] => text.split('\n').map(escapeLine)

/** One line of JSON without a character that a terminal would act on; it parses to the same value. */
export const encodeJsonLine = (value: unknown): string =>
  JSON.stringify(value).replace(unsafeInJson, text =>
    Array.from({ length: text.length }, (_, index) => `\\u${hex(text.charCodeAt(index), 4)}`).join(''),
  )

/** At least as many columns as a terminal gives it, whatever the font: only ASCII is sure to take one. */
const columnsOf = (character: string): number => (character.length === 1 && character <= '~' ? 1 : 2)

/** Cuts a line that has been escaped so that no terminal of this width breaks it by itself. */
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
