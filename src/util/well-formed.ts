/** A surrogate without its other half. With the `u` flag a pair is one code point, and does not match. */
const loneSurrogate = /[\ud800-\udfff]/u
/** A lone surrogate in the output of `JSON.stringify`, which escapes only those, in lower case. */
const escapedSurrogate = /(?:^|[^\\])(?:\\\\)*\\ud[89a-f][0-9a-f]{2}/

/** Returns false if the text has half of a character: it has no UTF-8, and would arrive as another text. */
export const isWellFormed = (text: string): boolean => !loneSurrogate.test(text)

/** Returns false if a string or a name in the value is not well-formed. @param json from `JSON.stringify` */
export const isWellFormedJson = (json: string): boolean => !escapedSurrogate.test(json) && isWellFormed(json)

/** Cuts a text to at most `length` UTF-16 units, never in the middle of a character. */
export function cutText(text: string, length: number): string {
  const cut = text.slice(0, length)
  return /[\ud800-\udbff]$/.test(cut) && cut.length < text.length ? cut.slice(0, -1) : cut
}

/** Returns `end`, or one less if a cut there would divide a pair of surrogates. */
export const wholeEnd = (text: string, end: number): number =>
  end > 0 && (text.codePointAt(end - 1) ?? 0) > 0xffff ? end - 1 : end
