import { decodeUtf8, encodeUtf8 } from '../../util/bytes.ts'

/** A moment as a record, ms since 1970 by our own clock. */
export const encodeInteger = (nowMs: number): Uint8Array => encodeUtf8(String(nowMs))
export const decodeInteger = (bytes: Uint8Array): number => Number(decodeUtf8(bytes)) || 0
