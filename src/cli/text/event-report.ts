import type { Client, ClientEvents } from '../../client/node.ts'
import { toFailure } from '../base/failure.ts'
import type { Output } from '../base/output.ts'

type Reports = { [Name in keyof ClientEvents]: (event: ClientEvents[Name]) => string }

const seconds = (ms: number): string => (ms / 1_000).toFixed(1)

const remedyTexts = {
  reset: 'the sender is asked for it again',
  retry: 'it is tried again later',
  none: 'nothing can be done here',
}

/** What each event says to a person. It claims no more than the event does. */
const reports: Reports = {
  connected: () => 'connected and logged in',
  disconnected: ({ code, reason }) => `the connection ended (${code}${reason ? `, ${reason}` : ''})`,
  reconnecting: ({ waitMs, error }) => `${error.message}; the next attempt comes in ${seconds(waitMs)} s`,
  listening: ({ queued }) => `listening${queued > 0 ? `, ${queued} waiting` : ''}`,
  replaced: ({ instance }) => `instance ${instance} has taken the inbox over`,
  gap: () => 'the server left something out; asking again',
  'gap-healed': () => 'what the server had left out has arrived',
  reordered: ({ from, id }) => `message ${id} of ${from} came after one that was sent later`,
  delivered: ({ id, to }) => `message ${id} is on the disk of ${to}`,
  read: ({ id, to }) => `message ${id} was acknowledged by ${to}`,
  withdrawn: ({ from, id }) => `${from} gave its request ${id} up`,
  refused: ({ id, to, error }) => `message ${id} to ${to} will not be sent: ${error.message}`,
  delayed: ({ id, to, error }) => `message ${id} to ${to} waits: ${error.message}`,
  'key-changed': ({ peer }) =>
    `the identity key of ${peer} has changed: nothing is sent to it, and nothing shown that it sends`,
  session: ({ peer, initiated }) => `a new session with ${peer}, begun ${initiated ? 'here' : 'there'}`,
  'peer-reset': ({ peer, resent }) => `${peer} started anew${resent > 0 ? `; ${resent} messages are sent again` : ''}`,
  undecryptable: ({ from, remedy }) =>
    `a message of ${from} could not be read and was set aside: ${remedyTexts[remedy]}`,
  recovered: ({ from }) => `a message of ${from} that was set aside could be read`,
  repaired: ({ peer }) => `${peer} knows that something was not readable, and sends again what was not confirmed`,
  failed: ({ error }) => `something failed and is tried again: ${error.message}`,
  restored: ({ peers }) => `this state was an older copy: sessions with ${peers} peers start anew`,
  'keys-low': ({ oneTimeKeys }) => `the server has ${oneTimeKeys} one-time keys left; making more`,
  published: ({ oneTimeKeys }) => `one-time keys were published; the server has ${oneTimeKeys}`,
  'registered-again': () =>
    'the server did not know this agent any more; it is registered again with its key. Privacy settings and blocks start anew',
  generation: () => 'the server may have lost messages; what is not confirmed is sent again',
}

/** What happens where nothing is the matter. */
const routine: readonly (keyof ClientEvents)[] = [
  'connected',
  'disconnected',
  'listening',
  'delivered',
  'read',
  'session',
  'published',
]

/** What a person is told: for a command that ends by itself, only what is out of the ordinary. */
export type Verbosity = 'everything' | 'exceptions'

/** Tells an operator on standard error what happens to a client: a line each, with `--json` of every event. */
export function reportEvents(client: Pick<Client, 'on'>, output: Output, verbosity: Verbosity): void {
  for (const name of Object.keys(reports)) {
    if (isEventName(name) && (output.json || verbosity === 'everything' || !routine.includes(name)))
      report(client, output, name)
  }
}

const isEventName = (name: string): name is keyof ClientEvents => Object.hasOwn(reports, name)

function report<Name extends keyof ClientEvents>(client: Pick<Client, 'on'>, output: Output, name: Name): void {
  client.on(name, event => output.note({ event: name, ...plain(event) }, reports[name](event)))
}

/** An event without its error's insides. */
const plain = (event: object): object =>
  Object.fromEntries(
    Object.entries(event).map(([name, value]) => {
      if (!(value instanceof Error)) return [name, value]
      const { code, message } = toFailure(value)
      return [name, { code, message }]
    }),
  )
