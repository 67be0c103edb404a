import type { AppendItem } from '../../server/store/store.ts'
import { defer } from '../../util/deferred.ts'
import type { DemoAgent, Stage } from './demo-node.ts'
import { type Ears, listen } from './next-message.ts'
import type { Narrator } from './printer.ts'
import { bothNumbers } from './safety.ts'

type Scene = Stage & { narrator: Narrator }

const question = 'bob, the build on main is broken. Can you have a look when you are back?'
const reply = 'Found it: a missing import. It is fixed, main is green again.'

/** Characters of a body that are worth showing. */
const shownChars = 60

export async function nodeStarts({ server, narrator }: Scene): Promise<void> {
  await narrator.step('A node starts in this process, on the embedded engine', { server }, [
    `It listens on ${server}. Nothing below is staged: each line tells what came of the step.`,
  ])
}

export async function registerAgent({ enter, narrator }: Scene, name: string): Promise<DemoAgent> {
  const agent = await enter(name)
  const published = defer<{ oneTimeKeys: number; oneTimeKemKeys: number }>()
  agent.client.on('published', published.resolve)
  const { address, identity } = await agent.client.register(name)
  const { oneTimeKeys, oneTimeKemKeys } = await published.promise
  await narrator.step(`${name} registers`, { address, identity, oneTimeKeys, oneTimeKemKeys }, [
    `${address}, identity key ${identity}`,
    'The private half was made here and stays here.',
    `For when nobody answers, the node got public keys: ${oneTimeKeys} one-time X25519, ${oneTimeKemKeys} one-time ML-KEM.`,
  ])
  return agent
}

export async function goAway({ narrator }: Scene, { client }: DemoAgent): Promise<void> {
  await client.close()
  await narrator.step('bob goes away', {}, ['He has no connection now, and nothing of him runs.'])
}

export async function writeToAbsent({ narrator }: Scene, { client }: DemoAgent): Promise<void> {
  const session = defer<{ peer: string; initiated: boolean }>()
  client.on('session', session.resolve)
  const { id, seq, queued } = await client.send('bob', question)
  const { initiated } = await session.promise
  await narrator.step('alice writes to bob', { text: question, id, seq, queued, initiated }, [
    `alice: "${question}"`,
    `With bob's public keys from the node she ${initiated ? 'started' : 'joined'} a session without him, and encrypted it.`,
    `The node has stored it. ${queued ? 'Nobody listens for bob: it waits.' : 'bob is listening.'}`,
  ])
}

/** The envelope as the store was given it, while it waits. */
export async function showWhatWaits({ witness, countQueued, narrator }: Scene): Promise<void> {
  const waiting = await countQueued('bob')
  await narrator.step('What the node has of it', { waiting, envelopes: witness.envelopes.map(shown) }, [
    `${waiting} envelope in bob's inbox. All that it says:`,
    ...witness.envelopes.map(drawEnvelope),
  ])
}

export async function comeBack({ enter, narrator }: Scene): Promise<DemoAgent> {
  const bob = await enter('bob')
  const { from, text, verified } = await listen(bob.client).message
  await narrator.step('bob comes back, with nothing but his directory', { from, text, verified }, [
    `${from}: "${text}"`,
    'He finished the key exchange with what alice had put into her message.',
    verified === 'verified'
      ? "He has compared alice's key."
      : "It is the first time that he sees alice's key: from now on he would notice another one.",
  ])
  return bob
}

export async function answer({ narrator }: Scene, { client }: DemoAgent, alice: Ears): Promise<void> {
  const { id } = await client.send('alice', reply)
  const { from, text } = await alice.message
  const read = await alice.read
  await narrator.step('bob answers', { id, from, text, read: read.id }, [
    `${from}: "${text}"`,
    'A receipt, encrypted like any message, told alice that bob has read hers.',
  ])
}

export async function compareKeys({ narrator }: Scene, alice: DemoAgent, bob: DemoAgent): Promise<void> {
  const [hers, his] = await bothNumbers(alice, bob)
  const isSame = hers === his
  await narrator.step('Is somebody in between? The two compare safety numbers', { alice: hers, bob: his, isSame }, [
    `alice sees: ${inGroups(hers)}`,
    `bob sees:   ${inGroups(his)}`,
    isSame ? 'They are the same: each has the true key of the other.' : 'They differ: do not trust this conversation!',
  ])
}

const inGroups = (digits: string): string => digits.replace(/\d{5}(?=\d)/g, '$& ')

export async function showWhatTheNodeSaw({ witness, narrator }: Scene): Promise<void> {
  const { envelopes } = witness
  const isReadable = [question, reply].some(text => witness.has(text))
  await narrator.step('All that the node saw', { envelopes: envelopes.map(shown), isReadable }, [
    ...envelopes.map(drawEnvelope),
    'Receipts travel as messages: the node cannot tell which of these is one.',
    isReadable
      ? 'One of the two texts is in there: this must not be, please report it!'
      : 'Neither text is in what it stored or logged (at its finest log level): it was searched for, plain and encoded.',
  ])
}

const shown = ({ from, to, kind, body }: AppendItem) => ({
  from,
  to,
  kind,
  bodyChars: body.length,
  bodyStart: body.slice(0, shownChars),
})

const drawEnvelope = ({ from, to, kind, body }: AppendItem): string =>
  `${from} -> ${to}  ${kind}, ${body.length} characters: ${body.slice(0, shownChars)}…`

const nextCommands = [
  'npx aimessage serve',
  'npx aimessage register alice --agent alice',
  'npx aimessage register bob --agent bob',
  'npx aimessage send bob "hello" --agent alice',
  'npx aimessage listen --agent bob',
]

export async function farewell({ narrator }: Scene): Promise<void> {
  await narrator.step(
    'Now you: the first command in one terminal, the others in another',
    { nextCommands },
    nextCommands,
  )
}
