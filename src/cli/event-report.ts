import type { Client, ClientEvents } from '../client/node.ts'
import { toFailure } from './failure.ts'
import type { Output } from './output.ts'

type Reports = { [Name in keyof ClientEvents]: (event: ClientEvents[Name]) => string | null }

const seconds = (ms: number): string => (ms / 1_000).toFixed(1)

/** What each event says to a person; `null` is said only with `--json`. */
const reports: Reports = {
  connected: () => null,
  disconnected: ({ code, reason }) => `the connection ended (${code}${reason ? `, ${reason}` : ''})`,
  reconnecting: ({ waitMs, error }) => `${error.message}; the next attempt comes in ${seconds(waitMs)} s`,
  listening: ({ queued }) => `listening${queued > 0 ? `, ${queued} waiting` : ''}`,
  replaced: () => null,
  gap: () => 'the server left something out; asking again',
  delivered: () => null,
  read: () => null,
  refused: ({ id, to, error }) => `message ${id} to ${to} will not be sent: ${error.message}`,
  delayed: ({ id, to, error }) => `message ${id} to ${to} waits: ${error.message}`,
  'key-changed': ({ peer }) =>
    `the identity key of ${peer} has changed: nothing is sent to it, and nothing shown that it sends`,
  session: () => null,
  'peer-reset': ({ peer, resent }) => `${peer} started anew${resent > 0 ? `; ${resent} messages are sent again` : ''}`,
  undecryptable: ({ from }) => `a message of ${from} could not be decrypted and was set aside`,
  failed: ({ error }) => `something failed and is tried again: ${error.message}`,
  restored: ({ peers }) => `this state was an older copy: sessions with ${peers} peers start anew`,
  published: () => null,
  generation: () => 'the server may have lost messages; what is not confirmed is sent again',
}

/** Tells an operator on standard error what happens to a client. */
export function reportEvents(client: Client, output: Output): void {
  for (const name of Object.keys(reports)) if (isEventName(name)) report(client, output, name)
}

const isEventName = (name: string): name is keyof ClientEvents => Object.hasOwn(reports, name)

function report<Name extends keyof ClientEvents>(client: Client, output: Output, name: Name): void {
  client.on(name, event => {
    const text = reports[name](event)
    if (output.json || text !== null) output.note({ event: name, ...plain(event) }, text ?? '')
  })
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
