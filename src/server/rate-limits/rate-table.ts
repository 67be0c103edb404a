import { limits } from '../../protocol/limits.ts'
import type { Config } from '../base/config.ts'
import type { BucketKind, Rate } from '../store/store.ts'

/**
 * A rate that all nodes count together (docs/LIMITS.md). `counting`: `blocks` leases tokens in blocks and allows a
 * small part uncounted; `each` asks the store for each token. `away`, while the store is out of reach: `open` continues
 * with a bucket of this node's own, `shut` refuses with `unavailable`.
 */
export type BucketRule = {
  rate: (config: Config) => Rate
  counting: 'blocks' | 'each'
  away: 'open' | 'shut'
  per: string
  what: string
}

const overSeconds = (perSecond: number, seconds: number): Rate => ({ perSecond, burst: perSecond * seconds })

export const bucketRules = {
  frames: {
    rate: ({ userFramesPerS }) => overSeconds(userFramesPerS, limits.userFramesBurstS),
    counting: 'blocks',
    away: 'open',
    per: 'user',
    what: 'frames on sockets, weighted',
  },
  bytes: {
    rate: ({ userBytesPerS }) => overSeconds(userBytesPerS, limits.userBytesBurstS),
    counting: 'blocks',
    away: 'open',
    per: 'user',
    what: 'bytes of these frames',
  },
  calls: {
    rate: () => ({ perSecond: limits.userCallsPerS, burst: limits.userCallsBurst }),
    counting: 'blocks',
    away: 'open',
    per: 'user',
    what: 'HTTP calls, weighted',
  },
  messages: {
    rate: ({ pairMessagesPerS }) => overSeconds(pairMessagesPerS, limits.pairMessagesBurstS),
    counting: 'blocks',
    away: 'open',
    per: 'sender and recipient',
    what: 'messages, over sockets and HTTP',
  },
  messageBytes: {
    rate: ({ userBytesPerS }) => overSeconds(userBytesPerS * limits.pairShareOfBytes, limits.userBytesBurstS),
    counting: 'blocks',
    away: 'open',
    per: 'sender and recipient',
    what: 'bytes of their bodies',
  },
  fetches: {
    rate: () => ({
      perSecond: (limits.maxFetchesPerRequester * 1_000) / limits.fetchWindowMs,
      burst: limits.maxFetchesPerRequester,
    }),
    counting: 'blocks',
    away: 'shut',
    per: 'requester',
    what: 'key fetches',
  },
  registrations: {
    rate: ({ registrationsPerHour }) => ({ perSecond: registrationsPerHour / 3_600, burst: registrationsPerHour }),
    counting: 'each',
    away: 'shut',
    per: 'address',
    what: 'registrations with a valid signature',
  },
} as const satisfies Record<BucketKind, BucketRule>
