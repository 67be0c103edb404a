/** The door to sessions: start one, encrypt on the active one, decrypt on any (docs/E2E.md section 7). */
export { type Arrival, type Decrypted, type DecryptOptions, decryptBody } from './decrypt-body.ts'
export { encryptContent } from './encrypt-content.ts'
export { acceptOffer, declineOffer, dropOffer, findOffer, makeOffer } from './offer.ts'
export { type StartOptions, startSession } from './start-session.ts'
