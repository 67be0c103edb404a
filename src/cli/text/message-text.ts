import type { ReceivedMessage } from '../../client/node.ts'
import { escapeLine, escapeLines, wrap } from '../../util/escape.ts'
import type { Paint } from './paint.ts'

const indent = '    '
/** On terminals that are narrower, wrapping is left to them. */
const minColumns = 20

/** RFC 4648 section 4: what `base64 -d` reads. */
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')

type Shown = Pick<ReceivedMessage, 'id' | 'from' | 'verified' | 'body' | 'text' | 'sentAt'> &
  Partial<Pick<ReceivedMessage, 'kind' | 'mediaType' | 're' | 'hops' | 'deadline'>>

/** A message as `--json` shows it. Bytes that are no UTF-8 stand in `bodyBase64`. */
export function messageJson(message: Shown): object {
  const { id, from, verified, body, text, sentAt } = message
  const content = text === undefined ? { bodyBase64: base64(body) } : { body: text }
  return { id, from, ...content, sentAt, verified, ...extraOf(message) }
}

/** What a plain message has none of. */
const extraOf = ({ kind, mediaType, re, hops, deadline }: Shown): object => ({
  ...(kind !== undefined && kind !== 'application' && { kind }),
  ...(mediaType !== undefined && { mediaType }),
  ...(re !== undefined && { re }),
  ...(hops && { hops }),
  ...(deadline !== undefined && { deadline }),
})

/**
 * A message as a person reads it. Only the header starts in the first column, and every row of the body is indented, however
 * long its lines are: no body can look like another message.
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

const bodyLines = ({ text, body }: Shown): string[] =>
  text === undefined ? [`(${body.length} bytes that are no text) ${base64(body)}`] : escapeLines(text)

function fit(line: string, columns: number | undefined): string[] {
  const room = (columns ?? 0) - indent.length
  return room < minColumns ? [line] : wrap(line, room)
}

/** The sender's clock may say anything. */
export function timeText(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime())
    ? `time ${ms}`
    : date
        .toISOString()
        .replace('T', ' ')
        .replace(/\.\d+Z$/, 'Z')
}
