import type { ClientFrame } from '../../protocol/frames.ts'
import { limits } from '../../protocol/limits.ts'
import { parseRecipient, type Username } from '../../protocol/names.ts'
import type { NodeContext } from '../node/node-context.ts'
import { isSend } from '../rate-limits/frame-rules.ts'
import type { Wait } from '../rate-limits/leased-bucket.ts'
import { TokenBucket } from '../rate-limits/token-bucket.ts'

const strangerRate = { perSecond: limits.strangerFramesPerS, burst: limits.strangerFramesBurst }
const controlRate = { perSecond: limits.controlFramesPerS, burst: limits.controlFramesBurst }

/** What the frames of one connection count against: a bucket of its own before the login, then what its user may spend on all nodes. */
export class FrameRate {
  readonly #node: Pick<NodeContext, 'userRates' | 'clock' | 'config'>
  readonly #strange: TokenBucket
  readonly #control: TokenBucket

  constructor(node: Pick<NodeContext, 'userRates' | 'clock' | 'config'>) {
    this.#node = node
    this.#strange = new TokenBucket(strangerRate, node.clock)
    this.#control = new TokenBucket(controlRate, node.clock)
  }

  /** A frame that counts so much and was so many bytes, from `user` once there is one: ms until it may take effect. */
  take(cost: number, bytes: number, user: Username | undefined): Wait {
    return user === undefined ? this.#strange.take(cost) : this.#node.userRates.takeFrame(user, cost, bytes)
  }

  /** The same against what `user` may send to one recipient. */
  takeMessage(frame: ClientFrame, user: Username | undefined): Wait {
    if (!isSend(frame) || user === undefined) return 0
    const to = this.#recipientOf(frame.to)
    return to === undefined ? 0 : this.#node.userRates.takeMessage(user, to, frame.body.length)
  }

  /** Whether one more WebSocket ping or pong is in order. */
  takeControl(): boolean {
    return this.#control.take() === 0
  }

  /** Whether one more answer `rate_limited` is. A stranger had its share of frames before. */
  takeRefusal(user: Username | undefined): boolean {
    return user !== undefined && this.#node.userRates.takeRefusal(user)
  }

  /** `undefined` for what is refused anyway. */
  #recipientOf(to: string): Username | undefined {
    try {
      return parseRecipient(to, this.#node.config.domain)
    } catch {
      return undefined
    }
  }
}
