import type { Username } from '../../protocol/names.ts'
import type { Link } from '../connection/link.ts'

type Refused = { readonly link: Link; readonly frameId: string }

/**
 * The first frame per peer that a node has refused for now. On that link the node accepts no other frame for the peer
 * until the client sends this frame id again.
 */
export class StuckFrames {
  readonly #refused = new Map<Username, Refused>()

  /** @param frameId undefined if the node refused no frame */
  note(link: Link, peer: Username, frameId: string | undefined): void {
    if (frameId === undefined) this.#refused.delete(peer)
    else this.#refused.set(peer, { link, frameId })
  }

  /**
   * Returns true if the node waits for a frame that will not be sent again: the message has expired, was encrypted
   * again after a reset, or was accepted from another process. Only a new connection ends that wait.
   */
  isStuck(link: Link, peer: Username, isToBeSent: (frameId: string) => boolean): boolean {
    const refused = this.#refused.get(peer)
    return refused?.link === link && !isToBeSent(refused.frameId)
  }
}
