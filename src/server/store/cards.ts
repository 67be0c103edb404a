import type { Username } from '../../protocol/names.ts'

/** A card as nodes store it. `text` is base64url; its content has been validated. */
export type StoredCard = { text: string; counter: number; capabilities: readonly string[] }

/** The cards with which users describe themselves. A card is deleted with its user. */
export interface Cards {
  /**
   * Replaces the user's card, or removes it if `card` is `null`. `conflict`: the stored card has a higher `counter`.
   */
  publish(username: Username, card: StoredCard | null): Promise<'published' | 'conflict'>
  find(username: Username): Promise<string | null>
}
