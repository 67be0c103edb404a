import type { Random } from '../../crypto/provider.ts'
import { encodeBase64Url } from '../../util/bytes.ts'

/** Returns an id for a frame or a message: 16 random bytes, base64url. */
export const newId = (random: Random): string => encodeBase64Url(random(16))
