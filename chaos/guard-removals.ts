import type { FaultName } from './faults/names.ts'

/**
 * The removal of one guard: a text that occurs once in a source file, its replacement, and the faults that reveal the
 * missing guard.
 */
export type GuardRemoval = { file: string; find: string; put: string; shownBy: readonly FaultName[] }

const scripts = 'src/server/store/redis/scripts/inbox'

/**
 * The guards that can be removed, to show that a run without them fails. They are patches of the code that is bundled
 * for a run; the product does not contain them.
 */
export const guardRemovals = {
  dedupe: {
    file: `${scripts}/append.lua`,
    find: '    local before = not refused[stream] and known[field]\n',
    put: '    local before = false\n',
    shownBy: ['lost-acks', 'storm'],
  },
  'epoch-check': {
    file: `${scripts}/ack.lua`,
    find: "  if current ~= epoch or heldBy ~= owner then return 'stale' end\n",
    put: '',
    shownBy: ['takeover', 'delay-redis', 'stop-node'],
  },
  'ack-before-append': {
    file: 'src/server/delivery/send-batch.ts',
    find: '    const results = await this.#appendAll(',
    put: `    const seq = Date.now() * 1024
    for (const [at, { answer }] of batch.entries())
      answer.resolve({ status: 'stored', seq: seq + at, queued: false, repeated: false })
    const results = await this.#appendAll(`,
    shownBy: ['partition-node'],
  },
  'catch-up': {
    file: 'src/server/delivery/inbox-delivery.ts',
    find: 'return envelope.prev === this.#window.lastPushed && this.#push(envelope)',
    put: 'return this.#push(envelope)',
    shownBy: ['cut-pubsub', 'delay-redis'],
  },
  'time-based-seq': {
    file: `${scripts}/append.lua`,
    find: 'local seq, expiresAt = text(after(to.seq, now)), ',
    put: 'local seq, expiresAt = text(to.seq + 1), ',
    shownBy: ['rollback'],
  },
  'ack-after-save': {
    file: 'src/client/inbox/incoming.ts',
    find: `        await this.#saveBatch(batch)
        this.#link.ack(batch.at(-1)?.seq ?? 0)
`,
    put: `        this.#link.ack(batch.at(-1)?.seq ?? 0)
        await new Promise(resolve => setTimeout(resolve, 200))
        await this.#saveBatch(batch)
`,
    shownBy: ['kill-client'],
  },
} as const satisfies Record<string, GuardRemoval>

export type Guard = keyof typeof guardRemovals
export const guards = Object.keys(guardRemovals) as Guard[]

/** @throws {Error} unless the text occurs exactly once: then the guard has moved, and the table must be changed. */
export function removeGuard({ file, find, put }: GuardRemoval, text: string): string {
  const parts = text.split(find)
  if (parts.length !== 2)
    throw new Error(`${file}: the guard occurs ${parts.length - 1} times; change chaos/guard-removals.ts`)
  return parts.join(put)
}
