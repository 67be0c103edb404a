import { raceAbort } from '../../util/signal.ts'
import type { Output } from '../base/output.ts'
import { type DemoNode, startDemoNode } from './demo-node.ts'
import { listen } from './next-message.ts'
import { Printer } from './printer.ts'
import {
  answer,
  closeBob,
  compareKeys,
  introduceNode,
  printNextCommands,
  registerAgent,
  reopenBob,
  sendToAbsent,
  showRecords,
  showWaiting,
} from './steps.ts'

/** Every step is quick. After this time the demo fails, ms. */
const timeoutMs = 60_000

/** Starts a node, runs a conversation on it, and prints every step. */
export async function playDemo(output: Output, signal: AbortSignal): Promise<void> {
  const node = await startDemoNode()
  try {
    const ends = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    await raceAbort(play({ ...node, printer: new Printer(output) }), ends)
  } finally {
    await node.close()
  }
}

async function play(demo: DemoNode & { printer: Printer }): Promise<void> {
  await introduceNode(demo)
  const alice = await registerAgent(demo, 'alice')
  await closeBob(demo, await registerAgent(demo, 'bob'))
  const incoming = listen(alice)
  await sendToAbsent(demo, alice)
  await showWaiting(demo)
  const bob = await reopenBob(demo)
  await answer(demo, bob, incoming)
  await compareKeys(demo, alice, bob)
  await showRecords(demo)
  await printNextCommands(demo)
}
