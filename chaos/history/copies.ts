import { type HistoryEvent, ofKind } from './events.ts'

/**
 * A copy of an agent's state, made at `from`. At `to` the original was replaced by it (a restore), or the process that
 * used it beside the original ended (a clone). Monotonic, in ms.
 */
export type Copy = { readonly agent: string; readonly from: number; to: number }

/**
 * Returns true if a client of this agent existed twice at that time, or in a state that a restore has thrown away
 * since.
 */
export const isCopied = (copies: readonly Copy[], agent: string, tm: number): boolean =>
  copies.some(copy => copy.agent === agent && tm >= copy.from && tm <= copy.to)

/** The envelopes, as `USER SEQ`, that a client got into a state which is gone since. */
export const pushedToCopies = (history: readonly HistoryEvent[], copies: readonly Copy[]): Set<string> =>
  new Set(
    ofKind(history, 'push')
      .filter(({ client, tm }) => isCopied(copies, client, tm))
      .map(({ client, seq }) => `${client} ${seq}`),
  )
