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
  const refused = refuseOverBudget(stored, items)
  if (!refused) return appendCounted(stored, items, append)
  const admitted = items.filter((_item, at) => !refused[at])
  const appended = await appendCounted(stored, admitted, append)
  let next = 0
  return items.map((_item, at) => refused[at] ?? appended[next++] ?? { status: 'unavailable' })
}

/** Counts each item. Returns the results of those that must wait, by index, or `null` if there are none. */
function refuseOverBudget(stored: StoredBytes, items: readonly AppendItem[]): AppendResult[] | null {
  const refused: AppendResult[] = []
  const ofPairs = new Map<string, AppendResult>()
  let at = -1
  for (const { stream, from, to, body } of items) {
    at += 1
    const before = ofPairs.size > 0 ? ofPairs.get(`${stream} ${to}`) : undefined
    const why = before ? null : stored.takeMail(from, body.length)
    const result = why ? { status: 'no_room' as const, why, retryAfter: limits.storageRetryS } : before
    if (!result) continue
    refused[at] = result
    ofPairs.set(`${stream} ${to}`, result)
  }
  return refused.length > 0 ? refused : null
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
    let at = 0
    for (const { from, body } of items) {
      const result = results[at++]
      if (isNew(result)) continue
      stored.returnMail(from, body.length)
      if (result?.status === 'no_room') stored.countRefusal(result.why)
    }
  }
}
