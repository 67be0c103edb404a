import { decodeUtf8, encodeUtf8 } from '../../util/bytes.ts'

/** An integer as a record: a time (ms since 1970, by this machine's clock) or a sequence number. */
export const encodeInteger = (nowMs: number): Uint8Array => encodeUtf8(String(nowMs))
/** Returns 0 for bytes that are not a number. */
export function decodeInteger(bytes: Uint8Array): number {
  try {
    const value = Number(decodeUtf8(bytes))
    return Number.isSafeInteger(value) ? value : 0
  } catch {
    return 0
  }
}
