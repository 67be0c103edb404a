import type { Username } from '../protocol/names.ts'

/** An order number as text that sorts like the number. */
const sortable = (order: number): string => order.toString(16).padStart(14, '0')

/**
 * Every key of an agent's state, one function each.
 *
 * | key | holds |
 * | --- | --- |
 * | `account` | name, domain, identity seed, token |
 * | `prekeys` | private prekeys, replay list |
 * | `published` | there when a node has the current bundle |
 * | `order` | the last order number given |
 * | `peer/NAME` | pinned identity key, sessions |
 * | `outbox/NAME/ORDER` | what a node has not accepted yet |
 * | `sent/NAME/ID` | accepted, kept until the recipient's receipt |
 * | `inbox/ORDER` | decrypted, not yet acknowledged by the application |
 * | `pump/NAME` | which process empties that outbox |
 * | `outcome/ID` | what a node said of a message that another process had queued |
 * | `seen/NAME/ID` | message ids received |
 * | `body/HASH` | bodies received |
 * | `receipt/NAME/ID` | receipts to send |
 * | `recovering` | there when the node still has one-time keys of a state that went on elsewhere |
 * | `stale/NAME` | a peer that has to be told that this state was an older copy |
 * | `aside/HASH` | bodies that could not be decrypted |
 */
export const keys = {
  account: () => 'account',
  prekeys: () => 'prekeys',
  published: () => 'published',
  order: () => 'order',
  recovering: () => 'recovering',
  peer: (peer: Username) => `peer/${peer}`,
  peers: () => 'peer/',
  stale: (peer: Username) => `stale/${peer}`,
  stales: () => 'stale/',
  outbox: (peer: Username, order: number) => `outbox/${peer}/${sortable(order)}`,
  outboxOf: (peer: Username) => `outbox/${peer}/`,
  outboxes: () => 'outbox/',
  sent: (peer: Username, messageId: string) => `sent/${peer}/${messageId}`,
  sents: () => 'sent/',
  sentTo: (peer: Username) => `sent/${peer}/`,
  pump: (peer: Username) => `pump/${peer}`,
  outcome: (messageId: string) => `outcome/${messageId}`,
  inbox: (order: number) => `inbox/${sortable(order)}`,
  inboxes: () => 'inbox/',
  seen: (peer: Username, messageId: string) => `seen/${peer}/${messageId}`,
  body: (hash: string) => `body/${hash}`,
  receipt: (peer: Username, messageId: string) => `receipt/${peer}/${messageId}`,
  receiptsOf: (peer: Username) => `receipt/${peer}/`,
  receipts: () => 'receipt/',
  aside: (hash: string) => `aside/${hash}`,
  asides: () => 'aside/',
}

/** The name in a key of the form `KIND/NAME/…`. */
export const nameIn = (key: string): Username => key.split('/')[1] as Username
