import type { ClientFrame } from '../../protocol/frames.ts'
import { limits } from '../../protocol/limits.ts'
import { parseRecipient, type Username } from '../../protocol/names.ts'
import type { NodeContext } from '../node/node-context.ts'
import { isSend } from '../rate-limits/frame-rules.ts'
import type { Wait } from '../rate-limits/leased-bucket.ts'
import { TokenBucket } from '../rate-limits/token-bucket.ts'

const strangerRate = { perSecond: limits.strangerFramesPerS, burst: limits.strangerFramesBurst }
const controlRate = { perSecond: limits.controlFramesPerS, burst: limits.controlFramesBurst }

/** Counts the frames of one connection: before the login by a bucket of its own, then by the rates of its user. */
export class FrameRate {
  readonly #node: Pick<NodeContext, 'userRates' | 'clock' | 'config'>
  readonly #strange: TokenBucket
  readonly #control: TokenBucket

  constructor(node: Pick<NodeContext, 'userRates' | 'clock' | 'config'>) {
    this.#node = node
    this.#strange = new TokenBucket(strangerRate, node.clock)
    this.#control = new TokenBucket(controlRate, node.clock)
  }

  /** Counts a frame. Returns the ms until it may take effect. `user` is undefined before the login. */
  take(cost: number, bytes: number, user: Username | undefined): Wait {
    return user === undefined ? this.#strange.take(cost) : this.#node.userRates.takeFrame(user, cost, bytes)
  }

  /** The same for the rate from `user` to the recipient of a send. */
  takeMessage(frame: ClientFrame, user: Username | undefined): Wait {
    if (!isSend(frame) || user === undefined) return 0
    const to = this.#recipientOf(frame.to)
    return to === undefined ? 0 : this.#node.userRates.takeMessage(user, to, frame.body.length)
  }

  /** Returns true if the peer may send one more WebSocket ping or pong. */
  takeControl(): boolean {
    return this.#control.take() === 0
  }

  /** Counts a refusal. Returns 0 if the user keeps its rate of refusals. */
  takeRefusal(user: Username, isSlowed: boolean): number {
    return this.#node.userRates.takeRefusal(user, isSlowed)
  }

  /** Returns undefined for an invalid recipient, which is refused later. */
  #recipientOf(to: string): Username | undefined {
    try {
      return parseRecipient(to, this.#node.config.domain)
    } catch {
      return undefined
    }
  }
}
