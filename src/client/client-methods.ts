import { capabilitySource } from '../protocol/card.ts'
import { inviteSource, prefixSource } from '../protocol/fields.ts'
import {
  abortSignal,
  callback,
  content,
  duration,
  flag,
  matching,
  object,
  oneOf,
  options,
  text,
  whole,
} from './base/arguments.ts'
import type { Method } from './base/checked-methods.ts'

const peer = ['peer', text] as const
/** A message that another one answers. */
const answered = object({ id: text, from: text, hops: whole(0) })
const request = ['request', answered] as const
const reply = ['content', content] as const
const decision = ['options', options({ unconfirmed: oneOf('send', 'drop') })] as const
const refusal = object({ code: matching(/^[a-z0-9_]{1,64}$/, '1 to 64 of a-z 0-9 _'), message: text })
const userQuery = options({
  online: flag,
  prefix: matching(new RegExp(prefixSource), '0 to 32 of a-z 0-9 . _ -'),
  capability: matching(new RegExp(capabilitySource), '1 to 32 of a-z 0-9 . _ -, first a letter or digit'),
  cards: flag,
  after: text,
})

/** The longest time that a request waits for its reply, ms. */
export const maxRequestMs = 86_400_000

/** The public methods of a client, and what they check before they do anything. */
export const clientMethods = {
  on: ['value', ['name', text], ['handler', callback]],
  register: [
    'promise',
    ['username', text],
    ['options', options({ invite: matching(new RegExp(inviteSource), '1 to 128 of A-Z a-z 0-9 _ -') })],
  ],
  connect: ['promise'],
  recover: ['promise'],
  send: [
    'promise',
    ['to', text],
    ['content', content],
    [
      'options',
      options({
        ttlS: whole(1),
        signal: abortSignal,
        onStored: callback,
        inReplyTo: object({ id: text, hops: whole(0) }),
      }),
    ],
  ],
  request: [
    'promise',
    ['to', text],
    ['content', content],
    [
      'options',
      options({ timeoutMs: whole(1, maxRequestMs), signal: abortSignal, onPart: callback, inReplyTo: answered }),
    ],
  ],
  onRequest: ['value', ['handler', callback], ['options', options({ concurrency: whole(1) })]],
  reply: ['promise', request, reply],
  part: ['promise', request, reply],
  refuse: ['promise', request, ['error', refusal]],
  attend: ['promise', ['signal', abortSignal]],
  confirmed: [
    'promise',
    ['id', text],
    ['state', oneOf('delivered', 'read')],
    ['options', options({ signal: abortSignal })],
  ],
  receive: ['iterator', ['options', options({ signal: abortSignal, waitMs: duration, count: whole(0) })]],
  stopListening: ['promise'],
  users: ['iterator', ['query', userQuery]],
  getOrCreateSession: ['promise', peer],
  initiateKeyExchange: ['promise', peer, ['options', options({ timeoutMs: whole(1, maxRequestMs) })]],
  renewSession: ['promise', peer],
  identityOf: ['promise', peer],
  verifyPeer: ['promise', peer, ['shown', text], decision],
  trustPeer: ['promise', peer, ['identity', text], decision],
  distrustChange: ['promise', peer],
  repairPeer: ['promise', peer],
  logout: ['promise'],
  close: ['promise'],
} as const satisfies Record<string, Method>
