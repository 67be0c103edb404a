/** `scarce`: strangers wait. `full`: the store refuses whatever would need more memory. */
export type StorageLevel = 'ok' | 'scarce' | 'full'

/** How much of the store's memory is in use. Both numbers are 0 if the store has no limit that it knows. */
export type StorageUse = { level: StorageLevel; usedBytes: number; maxBytes: number }

/** Why the store takes no more data for now. The first three name whose budget is used up. */
export type StorageRefusal = 'sender' | 'address' | 'share' | 'stranger'

/** The store's memory, and the budgets that keep one user or one address from using it up. */
export interface Storage {
  use(): StorageUse
  /** Sets a function that counts refusals. */
  onRefusal(count: (why: StorageRefusal) => void): void
}

/** The engine in memory: it knows no limit. */
export const unlimitedStorage: Storage = {
  use: () => ({ level: 'ok', usedBytes: 0, maxBytes: 0 }),
  onRefusal: () => {},
}

/** A user's address has stored so much that the store takes no more of it for now. Nothing was stored. */
export class StorageBudgetError extends Error {
  override readonly name = 'StorageBudgetError'
}
