import { PassThrough } from 'node:stream'
import t from 'tap'
import { Output } from '../../../src/cli/base/output.ts'
import { reportEvents } from '../../../src/cli/text/event-report.ts'
import { type ClientEvents, UnreachableError } from '../../../src/client/node.ts'
import { parseUsername } from '../../../src/protocol/names.ts'
import { Emitter } from '../../../src/util/emitter.ts'

const bob = parseUsername('bob')
const error = new UnreachableError('out of reach')

/** One sample of each event. The compiler reports a missing one. */
const samples: { [Name in keyof ClientEvents]: ClientEvents[Name] } = {
  connected: {},
  disconnected: { code: 1006, reason: 'gone\x1b[2J' },
  reconnecting: { attempt: 2, waitMs: 1_540, error },
  listening: { epoch: 1, queued: 3 },
  replaced: { instance: 'other' },
  gap: { expected: 1, prev: 2 },
  'gap-healed': {},
  reordered: { from: bob, id: 'AAAA' },
  delivered: { id: 'AAAA', to: bob },
  read: { id: 'AAAA', to: bob },
  withdrawn: { from: bob, id: 'AAAA' },
  refused: { id: 'AAAA', to: bob, error },
  delayed: { id: 'AAAA', to: bob, error },
  'key-changed': { peer: bob },
  withheld: { peer: bob, messages: 2 },
  session: { peer: bob, initiated: true },
  'peer-reset': { peer: bob, reason: 'undecryptable', resent: 2, withheld: 0 },
  undecryptable: { from: 'bob', aside: 'hash', reason: 'undecryptable', remedy: 'reset' },
  recovered: { from: bob, aside: 'hash' },
  repaired: { peer: bob },
  evicted: { from: bob, aside: 'hash', remedy: 'reset' },
  'not-taken': { from: bob, id: 'AAAA', reason: 'too many wait' },
  unreadable: { record: 'peer/bob', peer: 'bob', reason: 'its record is damaged' },
  failed: { error },
  restored: { peers: 4, again: false },
  'keys-low': { oneTimeKeys: 3, oneTimeKemKeys: 1 },
  published: { oneTimeKeys: 100, oneTimeKemKeys: 20 },
  'registered-again': {},
  generation: { from: 'a', to: 'b' },
}

function report(json: boolean, verbosity: 'everything' | 'exceptions') {
  const [stdout, stderr] = [new PassThrough({ encoding: 'utf8' }), new PassThrough({ encoding: 'utf8' })]
  const events = new Emitter<ClientEvents>()
  reportEvents(events, new Output(json, { stdout, stderr }), verbosity)
  const emit = <Name extends keyof ClientEvents>(name: Name) => events.emit(name, samples[name])
  const lines = (Object.keys(samples) as (keyof ClientEvents)[]).map(name => {
    emit(name)
    return [name, stderr.read() ?? ''] as const
  })
  t.equal(stdout.read(), null, 'nothing is written to standard output')
  return new Map<string, string>(lines)
}

t.test('every event is one line of text', async t => {
  for (const [name, line] of report(false, 'everything')) t.match(line, /^[^\n\p{Cc}]{8,}\n$/u, name)
})

t.test('with --json every event is one object with its fields and without a stack, for every command', async t => {
  for (const [name, line] of report(true, 'exceptions')) {
    t.match(JSON.parse(line), { event: name }, name)
    t.notMatch(line, /stack|event-report/)
  }
  t.same(JSON.parse(report(true, 'everything').get('refused') ?? ''), {
    event: 'refused',
    id: 'AAAA',
    to: 'bob',
    error: { code: 'unreachable', message: 'out of reach' },
  })
})

t.test('a command that ends by itself reports only exceptional events as text', async t => {
  const said = report(false, 'exceptions')
  for (const name of ['connected', 'listening', 'read', 'published']) t.equal(said.get(name), '', name)
  for (const name of ['key-changed', 'undecryptable', 'restored', 'reconnecting', 'gap'])
    t.not(said.get(name), '', name)
})

t.test('the texts for recovered and for repaired messages differ', async t => {
  const said = report(false, 'everything')
  t.match(said.get('recovered'), /could be decrypted now/)
  t.notMatch(said.get('repaired'), /recovered|could be read|could be decrypted|has arrived/)
  t.match(said.get('undecryptable'), /could not be decrypted: the sender is asked to send it again/)
})
