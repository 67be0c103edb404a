import type { Username } from '../../protocol/names.ts'

/** A card as nodes hold it: `text` is base64url, what is in it has been checked. */
export type StoredCard = { text: string; counter: number; capabilities: readonly string[] }

/** What users say of themselves. Goes with its user. */
export interface Cards {
  /** In place of the one before; `null` takes it away. One with a lower `counter` than that one's is a `conflict`. */
  publish(username: Username, card: StoredCard | null): Promise<'published' | 'conflict'>
  find(username: Username): Promise<string | null>
}
