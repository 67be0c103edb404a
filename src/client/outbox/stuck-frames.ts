import type { Username } from '../../protocol/names.ts'
import type { Link } from '../connection/link.ts'

type Held = { readonly link: Link; readonly frameId: string }

/** For each peer the first frame that a node refused for now: on that link it takes nothing else for the peer before that id comes again. */
export class HeldFrames {
  readonly #held = new Map<Username, Held>()

  /** `frameId` is `undefined` where nothing was refused. */
  note(link: Link, peer: Username, frameId: string | undefined): void {
    if (frameId === undefined) this.#held.delete(peer)
    else this.#held.set(peer, { link, frameId })
  }

  /**
   * Whether the node waits for a frame that is not to come: it has expired, was put anew after a reset, or another process got it
   * accepted elsewhere. Only a new connection begins without it.
   */
  isStuck(link: Link, peer: Username, isToCome: (frameId: string) => boolean): boolean {
    const held = this.#held.get(peer)
    return held?.link === link && !isToCome(held.frameId)
  }
}
