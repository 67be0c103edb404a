import type { Username } from '../../protocol/names.ts'

/** Returns an order number as text that sorts like the number. */
const sortable = (order: number): string => order.toString(16).padStart(14, '0')

/**
 * Every key of an agent's state, one function each. The names in the state are a format: they do not change.
 *
 * | key | holds |
 * | --- | --- |
 * | `account` | name, domain, identity seed, token |
 * | `prekeys` | private prekeys, replay list |
 * | `published` | the suites of the current bundle, once a node has stored that bundle |
 * | `order` | the last order number taken |
 * | `swept` | time of the last cleanup of expired records |
 * | `peer/NAME` | pinned identity key, sessions |
 * | `outbox/NAME/ORDER` | messages that no node has accepted yet |
 * | `sent/NAME/ID` | accepted messages, kept until the recipient's receipt |
 * | `inbox/ORDER` | decrypted messages that the application has not acknowledged yet |
 * | `withheld/NAME/ORDER` | messages that came under a key that the user has rejected |
 * | `asked/NAME/ID` | this agent's requests, until some time after their reply |
 * | `answer/NAME/ID/ORDER` | replies and parts for callers that wait in `request` |
 * | `open/NAME/ID` | a peer's requests without a reply |
 * | `pump/NAME` | lease of the process that sends from that outbox |
 * | `outcome/ID` | the node's answer for a message that another process had queued |
 * | `confirmed/ID` | the receipt for a sent message, or the reason why there will be none |
 * | `seen/NAME/ID` | received message ids |
 * | `body/HASH` | hashes of received bodies |
 * | `receipt/NAME/ID` | receipts to send |
 * | `recovering` | exists while the node may have one-time keys of a newer copy of this state |
 * | `tried/NAME` | times of recent first messages of that peer under another key than the pinned one |
 * | `owed/NAME` | a pending reset for a peer, with its reason |
 * | `resets/NAME` | times of recent resets for a peer, and the sessions that the last one named |
 * | `restored` | time when this state was found to be an older copy |
 * | `looked/NAME` | time of the last check of that peer's bundle for a better suite |
 * | `card/NAME` | the highest `seq` seen in that agent's cards |
 * | `own-card` | this agent's signed card, as last published |
 * | `untold` | exists while the server may have lost that card |
 * | `loss` | time when a server may have lost users that this state knows |
 * | `strangers` | times of recent resets that unknown senders caused |
 * | `aside/NAME/HASH` | quarantine: bodies that could not be decrypted |
 * | `quarantine` | what is in the quarantine, without the bodies |
 * | `unread` | how much of each sender waits in the inbox |
 * | `contact/NAME` | exists for an agent that this one has written to |
 * | `refused/NAME` | time of the last notice that a message of this sender was not taken |
 * | `damaged/KEY` | the record of that key, which could not be read |
 */
export const keys = {
  account: () => 'account',
  prekeys: () => 'prekeys',
  published: () => 'published',
  order: () => 'order',
  recovering: () => 'recovering',
  peer: (peer: Username) => `peer/${peer}`,
  peers: () => 'peer/',
  otherKeyTries: (peer: Username) => `tried/${peer}`,
  pendingReset: (peer: Username) => `owed/${peer}`,
  pendingResets: () => 'owed/',
  sentResets: (peer: Username) => `resets/${peer}`,
  reserved: () => 'reserved',
  restored: () => 'restored',
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
  withheld: (peer: Username, order: number) => `withheld/${peer}/${sortable(order)}`,
  withheldOf: (peer: Username) => `withheld/${peer}/`,
  withhelds: () => 'withheld/',
  asked: (peer: Username, messageId: string) => `asked/${peer}/${messageId}`,
  askedOf: (peer: Username) => `asked/${peer}/`,
  askeds: () => 'asked/',
  answer: (peer: Username, messageId: string, order: number) => `answer/${peer}/${messageId}/${sortable(order)}`,
  answersTo: (peer: Username, messageId: string) => `answer/${peer}/${messageId}/`,
  answersOf: (peer: Username) => `answer/${peer}/`,
  answers: () => 'answer/',
  /** Returns the key of the request that an answer belongs to. */
  askedFor: (answer: string) => `asked/${answer.split('/').slice(1, 3).join('/')}`,
  open: (peer: Username, messageId: string) => `open/${peer}/${messageId}`,
  openOf: (peer: Username) => `open/${peer}/`,
  opens: () => 'open/',
  lastCleanup: () => 'swept',
  seens: () => 'seen/',
  bodies: () => 'body/',
  sendResults: () => 'outcome/',
  seenOf: (peer: Username) => `seen/${peer}/`,
  seen: (peer: Username, messageId: string) => `seen/${peer}/${messageId}`,
  body: (hash: string) => `body/${hash}`,
  receipt: (peer: Username, messageId: string) => `receipt/${peer}/${messageId}`,
  receiptsOf: (peer: Username) => `receipt/${peer}/`,
  receipts: () => 'receipt/',
  undecryptable: (peer: Username, hash: string) => `aside/${peer}/${hash}`,
  undecryptableOf: (peer: Username) => `aside/${peer}/`,
  undecryptables: () => 'aside/',
  quarantine: () => 'quarantine',
  unread: () => 'unread',
  contact: (peer: Username) => `contact/${peer}`,
  refusalTold: (peer: Username) => `refused/${peer}`,
  refusalsTold: () => 'refused/',
  damaged: (key: string) => `damaged/${key}`,
  damageds: () => 'damaged/',
}

/** Returns the name in a key of the form `KIND/NAME/…`. */
export const nameIn = (key: string): Username => key.split('/')[1] as Username

/** Returns the order number in a key of the form `inbox/ORDER`. */
export const orderIn = (key: string): number => Number.parseInt(key.split('/')[1] ?? '', 16)
