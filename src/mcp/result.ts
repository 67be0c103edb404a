import type { CallToolResult } from '@modelcontextprotocol/server'
import { asError } from '../util/as-error.ts'
import { encodeJsonLine } from '../util/escape.ts'
import { escapeText } from './message-view.ts'

/** A structured result, and the same as text for hosts that know no other. JSON that a terminal could act on is escaped in it. */
export const result = (value: Record<string, unknown>): CallToolResult => ({
  content: [{ type: 'text', text: encodeJsonLine(value) }],
  structuredContent: value,
})

/** Codes and texts are ours or a peer's: both are shown as text. A call that was cancelled is not answered at all. */
export function failure(error: unknown): CallToolResult {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'fault'
  const message = asError(error).message
  return { isError: true, content: [{ type: 'text', text: escapeText(`${code}: ${message}`) }] }
}
