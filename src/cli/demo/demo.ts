import { raceAbort } from '../../util/signal.ts'
import type { Output } from '../base/output.ts'
import { openStage, type Stage } from './demo-node.ts'
import { listen } from './next-message.ts'
import { Narrator } from './printer.ts'
import {
  answer,
  comeBack,
  compareKeys,
  farewell,
  goAway,
  nodeStarts,
  registerAgent,
  showWhatTheNodeSaw,
  showWhatWaits,
  writeToAbsent,
} from './steps.ts'

/** Nothing here takes long; what has not happened by then will not, ms. */
const patienceMs = 20_000

/** Plays a conversation on a node of its own. Everything it tells is taken from what happened. */
export async function playDemo(output: Output, signal: AbortSignal): Promise<void> {
  const stage = await openStage()
  try {
    const patience = AbortSignal.timeout(patienceMs)
    await raceAbort(play({ ...stage, narrator: new Narrator(output) }), AbortSignal.any([signal, patience]))
  } finally {
    await stage.close()
  }
}

async function play(scene: Stage & { narrator: Narrator }): Promise<void> {
  await nodeStarts(scene)
  const alice = await registerAgent(scene, 'alice')
  await goAway(scene, await registerAgent(scene, 'bob'))
  const aliceHears = listen(alice.client)
  await writeToAbsent(scene, alice)
  await showWhatWaits(scene)
  const bob = await comeBack(scene)
  await answer(scene, bob, aliceHears)
  await compareKeys(scene, alice, bob)
  await showWhatTheNodeSaw(scene)
  await farewell(scene)
}
