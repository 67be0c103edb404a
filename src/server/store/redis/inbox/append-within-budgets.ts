import { limits } from '../../../../protocol/limits.ts'
import type { AppendItem, AppendResult } from '../../store.ts'
import type { StoredBytes } from '../stored/stored-bytes.ts'

/** Returns true if this append stored a new envelope. */
export const isNew = (result: AppendResult | undefined): boolean => result?.status === 'stored' && !result.repeated

/**
 * Appends the items whose senders are within their budgets. After a refusal, later items of the same stream and
 * recipient get the same result, so that none overtakes.
 */
export async function appendWithinBudgets(
  stored: StoredBytes,
  items: readonly AppendItem[],
  append: (items: readonly AppendItem[]) => Promise<AppendResult[]>,
): Promise<AppendResult[]> {
  const results = refuseOverBudget(stored, items)
  const admitted = items.filter((_item, at) => !results[at])
  const appended = await appendCounted(stored, admitted, append)
  let next = 0
  return items.map((_item, at) => results[at] ?? appended[next++] ?? { status: 'unavailable' })
}

/** Counts each item, and returns a result for those that must wait. */
function refuseOverBudget(stored: StoredBytes, items: readonly AppendItem[]): (AppendResult | undefined)[] {
  const refused = new Map<string, AppendResult>()
  return items.map(({ stream, from, to, body }) => {
    const pair = `${stream} ${to}`
    const before = refused.get(pair)
    if (before) return before
    const why = stored.takeMail(from, body.length)
    if (!why) return undefined
    const result: AppendResult = { status: 'no_room', why, retryAfter: limits.storageRetryS }
    refused.set(pair, result)
    return result
  })
}

/** Takes back what was counted for items that were not stored. */
async function appendCounted(
  stored: StoredBytes,
  items: readonly AppendItem[],
  append: (items: readonly AppendItem[]) => Promise<AppendResult[]>,
): Promise<AppendResult[]> {
  let results: AppendResult[] = []
  try {
    results = await append(items)
    return results
  } finally {
    for (const [at, { from, body }] of items.entries()) {
      const result = results[at]
      if (!isNew(result)) stored.returnMail(from, body.length)
      if (result?.status === 'no_room') stored.countRefusal(result.why)
    }
  }
}
