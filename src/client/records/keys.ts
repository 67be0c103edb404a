import type { Username } from '../../protocol/names.ts'

/** An order number as text that sorts like the number. */
const sortable = (order: number): string => order.toString(16).padStart(14, '0')

/**
 * Every key of an agent's state, one function each.
 *
 * | key | holds |
 * | --- | --- |
 * | `account` | name, domain, identity seed, token |
 * | `prekeys` | private prekeys, replay list |
 * | `published` | the suites of the current bundle, once a node has that |
 * | `order` | the last order number given |
 * | `swept` | when what has served its time was last removed |
 * | `peer/NAME` | pinned identity key, sessions |
 * | `outbox/NAME/ORDER` | what a node has not accepted yet |
 * | `sent/NAME/ID` | accepted, kept until the recipient's receipt |
 * | `inbox/ORDER` | decrypted, not yet acknowledged by the application |
 * | `asked/NAME/ID` | requests of ours, until their reply and a while after |
 * | `answer/NAME/ID/ORDER` | replies and parts for whoever waits in `request` |
 * | `open/NAME/ID` | requests of a peer that nobody has answered |
 * | `pump/NAME` | which process empties that outbox |
 * | `outcome/ID` | what a node said of a message that another process had queued |
 * | `confirmed/ID` | the receipt for a message of ours, or why there will be none |
 * | `seen/NAME/ID` | message ids received |
 * | `body/HASH` | bodies received |
 * | `receipt/NAME/ID` | receipts to send |
 * | `recovering` | there when the node still has one-time keys of a state that went on elsewhere |
 * | `owed/NAME` | a peer that has to get a reset, and why |
 * | `looked/NAME` | when a better suite was last looked for in that peer's bundle |
 * | `card/NAME` | the highest `seq` seen of that agent's cards |
 * | `own-card` | the own card as it was published last, signed |
 * | `untold` | there when the server may have lost that |
 * | `loss` | when a server may have lost users that are known here |
 * | `strangers` | when somebody unknown last caused a reset |
 * | `aside/NAME/HASH` | bodies that could not be read |
 */
export const keys = {
  account: () => 'account',
  prekeys: () => 'prekeys',
  published: () => 'published',
  order: () => 'order',
  recovering: () => 'recovering',
  peer: (peer: Username) => `peer/${peer}`,
  peers: () => 'peer/',
  pendingReset: (peer: Username) => `owed/${peer}`,
  pendingResets: () => 'owed/',
  suiteChecked: (peer: Username) => `looked/${peer}`,
  card: (name: Username) => `card/${name}`,
  ownCard: () => 'own-card',
  cardUnpublished: () => 'untold',
  serverLoss: () => 'loss',
  strangerResets: () => 'strangers',
  outbox: (peer: Username, order: number) => `outbox/${peer}/${sortable(order)}`,
  outboxOf: (peer: Username) => `outbox/${peer}/`,
  outboxes: () => 'outbox/',
  sent: (peer: Username, messageId: string) => `sent/${peer}/${messageId}`,
  sents: () => 'sent/',
  sentTo: (peer: Username) => `sent/${peer}/`,
  outboxLease: (peer: Username) => `pump/${peer}`,
  sendResult: (messageId: string) => `outcome/${messageId}`,
  confirmed: (messageId: string) => `confirmed/${messageId}`,
  confirmations: () => 'confirmed/',
  inbox: (order: number) => `inbox/${sortable(order)}`,
  inboxes: () => 'inbox/',
  asked: (peer: Username, messageId: string) => `asked/${peer}/${messageId}`,
  askedOf: (peer: Username) => `asked/${peer}/`,
  askeds: () => 'asked/',
  answer: (peer: Username, messageId: string, order: number) => `answer/${peer}/${messageId}/${sortable(order)}`,
  answersTo: (peer: Username, messageId: string) => `answer/${peer}/${messageId}/`,
  answers: () => 'answer/',
  /** The request that an answer is to. */
  askedFor: (answer: string) => `asked/${answer.split('/').slice(1, 3).join('/')}`,
  open: (peer: Username, messageId: string) => `open/${peer}/${messageId}`,
  openOf: (peer: Username) => `open/${peer}/`,
  opens: () => 'open/',
  lastCleanup: () => 'swept',
  seens: () => 'seen/',
  bodies: () => 'body/',
  sendResults: () => 'outcome/',
  seen: (peer: Username, messageId: string) => `seen/${peer}/${messageId}`,
  body: (hash: string) => `body/${hash}`,
  receipt: (peer: Username, messageId: string) => `receipt/${peer}/${messageId}`,
  receiptsOf: (peer: Username) => `receipt/${peer}/`,
  receipts: () => 'receipt/',
  undecryptable: (peer: Username, hash: string) => `aside/${peer}/${hash}`,
  undecryptableOf: (peer: Username) => `aside/${peer}/`,
  undecryptables: () => 'aside/',
}

/** The name in a key of the form `KIND/NAME/…`. */
export const nameIn = (key: string): Username => key.split('/')[1] as Username

/** The order number in a key of the form `inbox/ORDER`. */
export const orderIn = (key: string): number => Number.parseInt(key.split('/')[1] ?? '', 16)
