import { saidWith } from '../../client/base/server-words.ts'
import type { Client, ClientEvents } from '../../client/node.ts'
import { toFailure } from '../base/failure.ts'
import { olderCopyText } from '../base/older-copy.ts'
import { type Output, quoteServer } from '../base/output.ts'

type Reports = { [Name in keyof ClientEvents]: (event: ClientEvents[Name]) => string }

const seconds = (ms: number): string => (ms / 1_000).toFixed(1)

const remedyTexts = {
  reset: 'the sender is asked to send it again',
  retry: 'it is tried again later',
  none: 'it cannot be recovered',
}

/** The text of each event for a person. It claims no more than the event does. */
const reports: Reports = {
  connected: () => 'connected and logged in',
  disconnected: ({ code, reason }) => `the connection ended (${code}${reason ? `, ${reason}` : ''})`,
  reconnecting: ({ waitMs, error }) => `${error.message}; the next attempt is in ${seconds(waitMs)} s`,
  listening: ({ queued }) => `listening${queued > 0 ? `, ${queued} waiting` : ''}`,
  replaced: ({ instance }) =>
    `another connection has taken over the inbox${instance === '' ? '' : ` (${quoteServer(instance)})`}`,
  gap: () => 'the server skipped messages; asking again',
  'gap-healed': () => 'the skipped messages have arrived',
  reordered: ({ from, id }) => `message ${id} from ${from} arrived after a message that was sent later`,
  delivered: ({ id, to }) => `message ${id} is stored by ${to}`,
  read: ({ id, to }) => `message ${id} was acknowledged by ${to}`,
  withdrawn: ({ from, id }) => `${from} withdrew its request ${id}`,
  refused: ({ id, to, error }) => `message ${id} to ${to} will not be sent: ${error.message}`,
  delayed: ({ id, to, error }) => `message ${id} to ${to} waits: ${error.message}`,
  'key-changed': ({ peer }) =>
    `the identity key of ${peer} has changed: nothing is sent to it, and its messages are not shown`,
  withheld: ({ peer, messages }) =>
    `${messages} unread messages of ${peer} came under a key that you have rejected: they are not shown`,
  session: ({ peer, initiated }) => `a new session with ${peer}, started ${initiated ? 'here' : 'by the peer'}`,
  'peer-reset': ({ peer, resent, withheld, ignored }) =>
    ignored
      ? `${peer} asked for messages again outside a new session; nothing is sent`
      : `${peer} reset the session${resent > 0 ? `; ${resent} messages are sent again` : ''}${
          withheld > 0 ? `; ${withheld} are not, because it asked too often or for too much` : ''
        }`,
  undecryptable: ({ from, remedy }) =>
    `a message from ${from || 'an invalid name'} could not be decrypted: ${remedyTexts[remedy]}`,
  evicted: ({ from, remedy }) =>
    `an undecryptable message of ${from} was deleted, because too many are kept: ${remedyTexts[remedy]}`,
  'not-taken': ({ from, reason }) => `a message from ${from} was not taken: ${reason}`,
  recovered: ({ from }) => `a message from ${from} could be decrypted now`,
  repaired: ({ peer }) => `${peer} was told about an undecryptable message, and sends unconfirmed messages again`,
  unreadable: ({ reason }) => reason,
  failed: ({ error }) => `an operation failed and is retried: ${error.message}`,
  restored: olderCopyText,
  'keys-low': ({ oneTimeKeys }) => `the server has ${oneTimeKeys} one-time keys left; creating more`,
  published: ({ oneTimeKeys }) => `one-time keys were published; the server has ${oneTimeKeys}`,
  'registered-again': () =>
    'the server had lost this agent; it is registered again with its key. Privacy settings and blocks are reset',
  generation: () => 'the server may have lost messages; unconfirmed messages are sent again',
}

/** Events of normal operation. */
const routine: readonly (keyof ClientEvents)[] = [
  'connected',
  'disconnected',
  'listening',
  'delivered',
  'read',
  'session',
  'published',
]

/** Which events a person sees: a command that ends by itself reports only exceptions. */
export type Verbosity = 'everything' | 'exceptions'

/** Reports the events of a client on standard error, one line each. With `--json` it reports every event. */
export function reportEvents(client: Pick<Client, 'on'>, output: Output, verbosity: Verbosity): void {
  output.reportsEvents = true
  for (const name of Object.keys(reports)) {
    if (isEventName(name) && (output.json || verbosity === 'everything' || !routine.includes(name)))
      report(client, output, name)
  }
}

const isEventName = (name: string): name is keyof ClientEvents => Object.hasOwn(reports, name)

function report<Name extends keyof ClientEvents>(client: Pick<Client, 'on'>, output: Output, name: Name): void {
  client.on(name, event => {
    const said = saidIn(event)
    const text = reports[name](event)
    output.note({ event: name, ...plain(event) }, said === undefined ? text : `${text} (${quoteServer(said)})`)
  })
}

/** Returns what the server said, if the event or its error has it. */
function saidIn(event: object): string | undefined {
  if ('serverSaid' in event && typeof event.serverSaid === 'string') return event.serverSaid
  return 'error' in event ? saidWith(event.error) : undefined
}

/** Returns an event with the code and message of its errors, and the words of the server. */
const plain = (event: object): object =>
  Object.fromEntries(
    Object.entries(event).map(([name, value]) => {
      if (!(value instanceof Error)) return [name, value]
      const { exit: _exit, retryAfter: _wait, ...failure } = toFailure(value)
      return [name, failure]
    }),
  )
