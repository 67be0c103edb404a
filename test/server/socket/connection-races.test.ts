import fc from 'fast-check'
import t from 'tap'
import type { Inboxes, Store } from '../../../src/server/store/store.ts'
import { withFaults } from '../../../tools/servers/running-node.ts'
import { ScheduledNodes, type TestConnection, until } from '../../fixtures/worlds/scheduled-nodes.ts'
import { turningScheduler } from '../../fixtures/worlds/scheduler.ts'

/** Every run draws an order of all asynchronous steps. A failing seed is printed and can be repeated. */
const runs = { numRuns: Number(process.env.RACES ?? 100) }
const nodes = 2
const step = fc.constantFrom('send', 'send', 'answer', 'listen', 'listen', 'stop', 'ack', 'cut', 'revoke', 'new')
/** The next action of one of bob's connections. */
type Script = [what: string, which: number][]
const steps: fc.Arbitrary<Script> = fc.array(fc.tuple(step, fc.nat(2)), { minLength: 4, maxLength: 24 })

/** The envelopes that a connection got, one list for each time it listened. */
function listenings({ heard }: TestConnection): { epoch: number; seqs: number[] }[] {
  const found: { epoch: number; seqs: number[] }[] = []
  let isListening = false
  for (const frame of heard) {
    if (frame.type === 'listening' && !isListening) found.push({ epoch: frame.epoch, seqs: [] })
    if (frame.type === 'listening') isListening = true
    if (frame.type === 'stopped') isListening = false
    if (frame.type !== 'message') continue
    const { seqs = undefined } = found.at(-1) ?? {}
    if (!isListening || !seqs) throw new Error('pushed to one that does not listen')
    if (frame.prev !== (seqs.at(-1) ?? 0)) throw new Error(`prev is ${frame.prev} after ${seqs.at(-1)}`)
    if (frame.seq <= (seqs.at(-1) ?? 0)) throw new Error(`${frame.seq} after ${seqs.at(-1)}`)
    seqs.push(frame.seq)
  }
  return found
}

const acknowledge = (bob: TestConnection): void => bob.tell({ type: 'ack', seq: bob.pushes.at(-1)?.seq ?? 0 })

async function play(world: ScheduledNodes, script: Script): Promise<void> {
  const alice = await world.connect('alice', 0)
  const bobs = await Promise.all([0, 1, 2].map(at => world.connect('bob', at)))
  const all = [...bobs]
  let sent = 0
  let ids = 0
  const send = () => {
    sent += 1
    alice.tell({ type: 'send', id: `m${sent}`, to: 'bob', body: 'AAAA' })
  }
  for (const [what, which] of script) {
    await world.step(what)
    const bob = bobs[which]
    if (!bob) continue
    ids += 1
    const id = `i${ids}`
    if (what === 'send') send()
    else if (what === 'answer') bob.tell({ type: 'send', id, to: 'alice', body: 'AAAA' })
    else if (what === 'listen' || what === 'stop') bob.tell({ type: what, id })
    else if (what === 'ack') acknowledge(bob)
    else if (what === 'cut') bob.cut()
    else if (what === 'revoke') void bob.revoke()
    else if (what === 'new') {
      bobs[which] = await world.connect('bob', which)
      all.push(bobs[which])
    }
  }
  all.push(await listenLast(world))
  await world.step('late acknowledgements')
  for (const bob of bobs) {
    acknowledge(bob)
    send()
    await world.step('one more')
  }
  await until('all sends are answered', () => alice.heard.filter(({ type }) => type === 'accepted').length === sent)
  const accepted = alice.heard.flatMap(frame => (frame.type === 'accepted' ? [frame.seq] : []))
  for (let losses = 1; !(await isReceiver(world, all, accepted)); losses += 1) {
    if (losses > script.length) throw new Error('it lost its claim more often than others had asked')
    all.push(await listenLast(world))
  }
  check(world, all, accepted)
}

async function listenLast(world: ScheduledNodes): Promise<TestConnection> {
  const last = await world.connect('bob', 1)
  last.tell({ type: 'listen', id: 'last' })
  return last
}

/**
 * Checks that the last listener got everything unacknowledged, and that no other connection listens. Returns false if
 * it lost its claim: a claim that was on its way for longer takes effect later, even of a connection that has ended
 * since.
 */
async function isReceiver({ log }: ScheduledNodes, bobs: TestConnection[], accepted: number[]): Promise<boolean> {
  const last = bobs.at(-1)
  if (!last) throw new Error('nobody listened')
  const isOver = () => last.closed !== undefined
  const floor = () => Math.max(0, ...log.trims.map(({ seq }) => seq))
  const seen = () => new Set(last.pushes.map(({ seq }) => seq))
  await until('the last one listens', () => isOver() || last.answered.includes('last'))
  await until(
    'what nobody acknowledged is pushed to the last one',
    () => isOver() || accepted.every(seq => seq <= floor() || seen().has(seq)),
  )
  await until(
    'the others are closed or do not listen',
    () =>
      isOver() ||
      bobs.every(bob => bob === last || bob.closed !== undefined || listenings(bob).length === 0 || hasStopped(bob)),
  )
  return !isOver()
}

const hasStopped = ({ heard }: TestConnection): boolean =>
  heard.findLastIndex(({ type }) => type === 'stopped') > heard.findLastIndex(({ type }) => type === 'listening')

function check({ log }: ScheduledNodes, bobs: TestConnection[], accepted: number[]): void {
  if (bobs.some(({ late }) => late > 0)) throw new Error('a frame after the end')
  for (const { asked, answered } of bobs) {
    if (answered.some((id, at) => id !== asked[at])) throw new Error(`asked ${asked}, answered ${answered}`)
  }
  for (const { epoch, newest } of log.trims) {
    if (epoch < newest) throw new Error(`epoch ${epoch} trimmed what ${newest} had claimed`)
  }
  const epochs = bobs.flatMap(bob => listenings(bob).map(({ epoch }) => epoch))
  if (new Set(epochs).size !== epochs.length) throw new Error('two claims of one epoch')
  const pushed = new Set(bobs.flatMap(({ pushes }) => pushes.map(({ seq }) => seq)))
  const lost = accepted.filter(seq => !pushed.has(seq))
  if (lost.length > 0) throw new Error(`${lost.length} were trimmed that nobody was shown`)
  if (accepted.some((seq, at) => seq <= (accepted[at - 1] ?? 0))) throw new Error('stored in another order than sent')
}

/** The change to the store of each node of one world. */
type Change = (store: Store) => Store

const property = (open?: () => Change) =>
  fc.asyncProperty(turningScheduler(), steps, async (scheduler, script) => {
    const world = new ScheduledNodes(scheduler, nodes, open?.())
    try {
      await scheduler.waitFor(play(world, script))
    } finally {
      await scheduler.waitFor(world.close())
    }
  })

t.test(
  'whichever connections listen, stop, acknowledge and break over two nodes, an inbox has one receiver and loses nothing',
  () => fc.assert(property(), runs),
)

/** Stores with one guard removed, and the violation to expect: shows that the test can fail. */
const unguarded: Record<string, { noticed: RegExp; open: () => Change }> = {
  'acknowledgements are not fenced': { noticed: /trimmed/, open: withoutFence },
  'reads begin anew with each call': {
    noticed: / after |pushed to the last one/,
    open: () => store =>
      withFaults(store, { inboxes: { read: (claim, _after, limit) => store.inboxes.read(claim, 0, limit) } }),
  },
  'a stale claim reads on': {
    noticed: /the others are closed/,
    open: () => store =>
      withFaults(store, {
        inboxes: {
          read: async (...asked) =>
            (await store.inboxes.read(...asked)) === 'stale' ? [] : store.inboxes.read(...asked),
        },
        onNotice: handler => store.onNotice(notice => notice.kind === 'replaced' || handler(notice)),
      }),
  },
  'hints are lost and nothing reads': {
    noticed: /pushed to the last one/,
    open: () => store => withFaults(store, { inboxes: { read: async () => [] } }),
  },
}

/** Applies every acknowledgement to the newest claim, at whichever node that claim is. */
function withoutFence(): Change {
  let newest: Parameters<Inboxes['ack']>[0] | undefined
  return store => {
    const claim: Inboxes['claim'] = async (username, owner) => {
      const claimed = await store.inboxes.claim(username, owner)
      if (claimed !== 'conflict') newest = claimed.claim
      return claimed
    }
    return withFaults(store, { inboxes: { claim, ack: (held, seq) => store.inboxes.ack(newest ?? held, seq) } })
  }
}

for (const [what, { noticed, open }] of Object.entries(unguarded)) {
  t.test(`and it is noticed when ${what}`, async t => {
    const { failed, errorInstance } = await fc.check(property(open), { numRuns: 300, endOnFailure: true })
    t.ok(failed)
    t.match(String(errorInstance), noticed)
  })
}
