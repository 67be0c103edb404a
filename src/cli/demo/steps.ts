import type { Client } from '../../client/node.ts'
import type { AppendItem } from '../../server/store/store.ts'
import { defer } from '../../util/deferred.ts'
import type { DemoNode } from './demo-node.ts'
import { type Incoming, listen } from './next-message.ts'
import type { Printer } from './printer.ts'

type Demo = DemoNode & { printer: Printer }

const question = 'bob, the build on main is broken. Can you have a look when you are back?'
const reply = 'Found it: a missing import. It is fixed, main is green again.'

/** Number of characters of a body that are printed. */
const shownChars = 60

export async function introduceNode({ server, printer }: Demo): Promise<void> {
  await printer.step('A node starts in this process, with its data in memory', { server }, [
    `It listens on ${server}. Nothing below is prepared: each line shows what really happened.`,
  ])
}

export async function registerAgent({ openAgent, printer }: Demo, name: string): Promise<Client> {
  const agent = await openAgent(name)
  const published = defer<{ oneTimeKeys: number; oneTimeKemKeys: number }>()
  agent.on('published', published.resolve)
  const { address, identity } = await agent.register(name)
  const { oneTimeKeys, oneTimeKemKeys } = await published.promise
  await printer.step(`${name} registers`, { address, identity, oneTimeKeys, oneTimeKemKeys }, [
    `${address}, identity key ${identity}`,
    'The private key was created here and never leaves this machine.',
    `${name} published keys for senders: ${oneTimeKeys} one-time X25519, ${oneTimeKemKeys} one-time ML-KEM.`,
  ])
  return agent
}

export async function closeBob({ printer }: Demo, bob: Client): Promise<void> {
  await bob.close()
  await printer.step('bob closes', {}, ['Now bob has no connection and no running process.'])
}

export async function sendToAbsent({ printer }: Demo, alice: Client): Promise<void> {
  const session = defer<{ peer: string; initiated: boolean }>()
  alice.on('session', session.resolve)
  const { id, seq, queued } = await alice.send('bob', question)
  const { initiated } = await session.promise
  await printer.step('alice writes to bob', { text: question, id, seq, queued, initiated }, [
    `alice: "${question}"`,
    `alice ${initiated ? 'started' : 'joined'} a session with bob's published keys, and encrypted the message.`,
    `The node has stored it. ${queued ? 'bob is not listening: the message waits.' : 'bob is listening.'}`,
  ])
}

/** Prints the waiting envelope as the node stored it. */
export async function showWaiting({ recorder, countQueued, printer }: Demo): Promise<void> {
  const waiting = await countQueued('bob')
  await printer.step('What the node has stored', { waiting, envelopes: recorder.envelopes.map(toJson) }, [
    `bob's inbox has ${waiting} envelope. This is its whole content:`,
    ...recorder.envelopes.map(drawEnvelope),
  ])
}

export async function reopenBob({ openAgent, printer }: Demo): Promise<Client> {
  const bob = await openAgent('bob')
  const { from, text, verified } = await listen(bob).message
  await printer.step('bob opens again, from the state in its directory', { from, text, verified }, [
    `${from}: "${text}"`,
    "alice's message contained what bob needed to complete the key exchange.",
    verified === 'verified'
      ? "bob has compared alice's key."
      : "bob sees alice's key for the first time, and will notice if another key comes later.",
  ])
  return bob
}

export async function answer({ printer }: Demo, bob: Client, alice: Incoming): Promise<void> {
  const { id } = await bob.send('alice', reply)
  const { from, text } = await alice.message
  const read = await alice.read
  await printer.step('bob answers', { id, from, text, read: read.id }, [
    `${from}: "${text}"`,
    "A receipt, encrypted like every message, told alice that bob has read alice's message.",
  ])
}

export async function compareKeys({ printer }: Demo, alice: Client, bob: Client): Promise<void> {
  const { safetyNumber: ofAlice } = await alice.identityOf('bob')
  const { safetyNumber: ofBob } = await bob.identityOf('alice')
  const isSame = ofAlice === ofBob
  await printer.step('alice and bob compare safety numbers', { alice: ofAlice, bob: ofBob, isSame }, [
    `alice sees: ${inGroups(ofAlice)}`,
    `bob sees:   ${inGroups(ofBob)}`,
    isSame ? 'They are equal: nobody is in between.' : 'They differ: do not trust this conversation!',
  ])
}

const inGroups = (digits: string): string => digits.replace(/\d{5}(?=\d)/g, '$& ')

export async function showRecords({ recorder, printer }: Demo): Promise<void> {
  const { envelopes } = recorder
  const isReadable = [question, reply].some(text => recorder.has(text))
  await printer.step('Everything that the node has seen', { envelopes: envelopes.map(toJson), isReadable }, [
    ...envelopes.map(drawEnvelope),
    'Receipts are encrypted like messages: the node cannot tell which of these is a receipt.',
    isReadable
      ? 'A text of the conversation is readable in there. This must not happen: please report it!'
      : 'Neither text is in the stored data or in the log (at level trace), neither plain nor encoded.',
  ])
}

const toJson = ({ from, to, kind, body }: AppendItem) => ({
  from,
  to,
  kind,
  bodyChars: body.length,
  bodyStart: body.slice(0, shownChars),
})

const drawEnvelope = ({ from, to, kind, body }: AppendItem): string =>
  `${from} -> ${to}  ${kind}, ${body.length} characters: ${body.slice(0, shownChars)}…`

/** The command as the reader can type it: the installed one, or the file of a checkout. */
const program = process.argv[1]?.endsWith('bin/aimessage.js') ? 'node bin/aimessage.js' : 'aimessage'

const nextCommands = [
  'serve',
  'register alice --agent alice',
  'register bob --agent bob',
  'send bob "hello" --agent alice',
  'listen --agent bob',
].map(command => `${program} ${command}`)

export async function printNextCommands({ printer }: Demo): Promise<void> {
  await printer.step(
    'Try it: run the first command in one terminal and the others in a second one',
    { nextCommands },
    nextCommands,
  )
}
