import type { ReceivedMessage } from '../../client/node.ts'
import { escapeLine, escapeLines, wrap } from '../../util/escape.ts'
import { isoSeconds } from '../../util/time-text.ts'
import type { Paint } from '../base/paint.ts'

const indent = '    '
/** On a narrower terminal the text is not wrapped here. */
const minColumns = 20

/** RFC 4648 section 4, which `base64 -d` reads. */
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

type Shown = Pick<ReceivedMessage, 'id' | 'from' | 'verified' | 'body' | 'text' | 'sentAt'> &
  Partial<Pick<ReceivedMessage, 'identity' | 'kind' | 'mediaType' | 're' | 'hops' | 'deadline' | 'error'>>

/** Returns a message as `--json` shows it. `bodyBase64` replaces `body` if the bytes are not UTF-8. */
export function messageJson(message: Shown): object {
  const { id, from, identity, verified, body, text, sentAt } = message
  const content = text === undefined ? { bodyBase64: base64(body) } : { body: text }
  return { id, from, ...content, sentAt, verified, ...(identity !== undefined && { identity }), ...extraOf(message) }
}

/** Returns the members that a plain message does not have. */
const extraOf = ({ kind, mediaType, re, hops, deadline, error }: Shown): object => ({
  ...(kind !== undefined && kind !== 'application' && { kind }),
  ...(mediaType !== undefined && { mediaType }),
  ...(re !== undefined && { re }),
  ...(hops && { hops }),
  ...(deadline !== undefined && { deadline }),
  ...(error && { error }),
})

/**
 * Returns the lines of a message for a person. Only the header starts in the first column; every row of the body is
 * indented, so that no body can imitate another message.
 */
export function drawMessage(message: Shown, paint: Paint, columns: number | undefined): string[] {
  const { from, verified, sentAt } = message
  const header = `${paint.bold(paint.cyan(escapeLine(from)))}  ${paint.dim(`${timeText(sentAt)}  ${verified}${labelOf(message)}`)}`
  const rows = bodyLines(message).flatMap(line => fit(line, columns))
  return [header, ...rows.map(row => `${indent}${row}`)]
}

const labelOf = ({ kind, mediaType }: Shown): string =>
  [kind === 'application' ? undefined : kind, mediaType]
    .flatMap(label => (label ? [`  ${escapeLine(label)}`] : []))
    .join('')

/** A refusal that comes after the time of a request has no text. */
const bodyLines = ({ text, body, error }: Shown): string[] =>
  error
    ? [`refused (${escapeLine(error.code)}), in its own words: ${JSON.stringify(escapeLine(error.message))}`]
    : textLines({ text, body })

const textLines = ({ text, body }: Pick<Shown, 'text' | 'body'>): string[] =>
  text === undefined ? [`(${body.length} bytes that are not text) ${base64(body)}`] : escapeLines(text)

function fit(line: string, columns: number | undefined): string[] {
  const room = (columns ?? 0) - indent.length
  return room < minColumns ? [line] : wrap(line, room)
}

/** The sender chooses the time, so it may be any number. */
export const timeText = (ms: number): string => isoSeconds(ms)?.replace('T', ' ') ?? `time ${ms}`
