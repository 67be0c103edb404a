/** The labels of docs/E2E.md section 3. Each states one purpose, so that no key or signature serves two purposes. */
export const labels = {
  sharedSecret: {
    1: 'AIMessage1_CURVE25519_SHA-256',
    2: 'AIMessage1_CURVE25519_SHA-256_ML-KEM-768',
  },
  rootChain: 'AIMessage1 root chain',
  messageKeys: 'AIMessage1 message keys',
  sessionId: 'AIMessage1 session id',
  prekey: 'AIMessage1 prekey',
  bundle: 'AIMessage1 bundle',
  relayAuth: 'AIMessage1 relay auth',
  card: 'AIMessage1 card',
  reservation: 'AIMessage1 reservation',
  offer: 'AIMessage1 offer',
} as const

/** The labels that an identity key signs under. */
export type SignatureLabel = (typeof labels)['prekey' | 'bundle' | 'relayAuth' | 'card' | 'reservation' | 'offer']
