import type { CallToolResult } from '@modelcontextprotocol/server'
import { asError } from '../util/as-error.ts'
import { encodeJsonLine } from '../util/escape.ts'
import { escapeText } from './message-view.ts'

/** Returns a structured result, and the same as text for hosts that read only text. The text is safe on a terminal. */
export const result = (value: Record<string, unknown>): CallToolResult => ({
  content: [{ type: 'text', text: encodeJsonLine(value) }],
  structuredContent: value,
})

/** Returns an error as a result. A peer may have chosen its code and text, so both are escaped. */
export function failure(error: unknown): CallToolResult {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'fault'
  const message = asError(error).message
  return { isError: true, content: [{ type: 'text', text: escapeText(`${code}: ${message}`) }] }
}
