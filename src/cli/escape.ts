export { encodeJsonLine, escapeLine, escapeLines, wrap } from '../util/escape.ts'
