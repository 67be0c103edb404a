import { cryptoLimits } from '../../crypto/limits.ts'
import type { Username } from '../../protocol/names.ts'
import { asError } from '../../util/as-error.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Outbox } from '../outbox/outbox.ts'
import { keys, nameIn } from '../records/keys.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { StateReader } from '../state/state-store.ts'
import type { Intake } from './incoming.ts'

/** What was set aside because of a limit is tried again so soon, ms: the shortest limit is over then. */
const retryMs = cryptoLimits.minuteMs
/** A reset that may not be sent yet is looked at again after so long, ms: it is allowed once an hour. */
const owedMs = cryptoLimits.resetIntervalMs / 4

/**
 * Makes good what could not be read: tries bodies again whose hindrance may have passed, and sends the resets that are owed. What is to be
 * done stands in the state, so that it survives the process that found it.
 */
export class Repairs {
  readonly #context: ClientContext
  readonly #intake: Intake
  readonly #sessions: Sessions
  readonly #outbox: Outbox
  #looking: Promise<void> = Promise.resolve()
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(context: ClientContext, intake: Intake, sessions: Sessions, outbox: Outbox) {
    this.#context = context
    this.#intake = intake
    this.#sessions = sessions
    this.#outbox = outbox
    context.closing.addEventListener('abort', () => clearTimeout(this.#timer))
  }

  /** Does what can be done now, and looks again when more may be. Who comes while it looks gets a look after that. */
  look(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#try(() => this.#look()))
    return this.#looking
  }

  async #look(): Promise<void> {
    const { store, closing } = this.#context
    if (closing.aborted) return
    let isWaiting = false
    for (const peer of await store.read(tx => namesUnder(tx, keys.asides()))) {
      await this.#try(async () => {
        isWaiting = (await this.#intake.takeAgain(peer)) || isWaiting
      })
    }
    const owing = await store.read(tx => namesUnder(tx, keys.owing()))
    for (const peer of owing) {
      await this.#try(async () => {
        if (await this.#sessions.repair(peer)) this.#outbox.pump(peer)
      })
    }
    clearTimeout(this.#timer)
    if (closing.aborted || (!isWaiting && owing.length === 0)) return
    this.#timer = setTimeout(() => void this.look(), isWaiting ? retryMs : owedMs)
  }

  /** What fails for one peer is tried again with the next look, and keeps no other from it. */
  async #try(act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      const { closing, events } = this.#context
      if (!closing.aborted) events.emit('failed', { error: asError(error) })
    }
  }
}

/** Each name once, in order, of keys of the form `KIND/NAME` and `KIND/NAME/…`. */
async function namesUnder(tx: StateReader, prefix: string): Promise<Username[]> {
  const names = (await tx.list(prefix)).map(([key]) => nameIn(key))
  return [...new Set(names)]
}
