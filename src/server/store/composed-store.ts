import type { Username } from '../../protocol/names.ts'
import type {
  AppendItem,
  AppendResult,
  Claim,
  Envelope,
  FetchedKeys,
  FetchRefusal,
  Inboxes,
  KeyCounts,
  Keys,
  KeyUpload,
  Owner,
  ReadLimit,
} from './store.ts'

/** What a store of either engine leaves to its inboxes and its published keys. */
export abstract class ComposedStore implements Inboxes, Keys {
  protected abstract readonly inboxes: Inboxes
  protected abstract readonly keys: Keys

  append(items: readonly AppendItem[]): Promise<AppendResult[]> {
    return this.inboxes.append(items)
  }

  claim(username: Username, owner: Owner): Promise<{ claim: Claim; queued: number } | 'conflict'> {
    return this.inboxes.claim(username, owner)
  }

  read(claim: Claim, after: number, limit: ReadLimit): Promise<Envelope[] | 'stale'> {
    return this.inboxes.read(claim, after, limit)
  }

  peek(claim: Claim, after: number): Promise<'some' | 'none' | 'stale'> {
    return this.inboxes.peek(claim, after)
  }

  ack(claim: Claim, seq: number): Promise<'acked' | 'stale' | 'bad_ack'> {
    return this.inboxes.ack(claim, seq)
  }

  release(claim: Claim): Promise<void> {
    return this.inboxes.release(claim)
  }

  countQueued(username: Username): Promise<number> {
    return this.inboxes.countQueued(username)
  }

  reserve(username: Username, upTo: number): Promise<number> {
    return this.inboxes.reserve(username, upTo)
  }

  publishKeys(username: Username, upload: KeyUpload): Promise<KeyCounts | 'conflict'> {
    return this.keys.publishKeys(username, upload)
  }

  countKeys(username: Username): Promise<KeyCounts> {
    return this.keys.countKeys(username)
  }

  fetchKeys(username: Username, requester: Username, id: string): Promise<FetchedKeys | FetchRefusal> {
    return this.keys.fetchKeys(username, requester, id)
  }
}
