import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { temporaryDirectory } from '../../tools/clients/agents.ts'
import { compiledProgram, nodeEndingWithParent } from '../../tools/processes.ts'

/** A fixed seed gives the same choices each time; `npm run chaos` draws a new one. */
const seed = process.env.SEED ?? '8'
/** Faults of every lane in half a minute. */
const faults = 'kill-node,kill-redis,rollback,flush-scripts,lost-acks,cut-pubsub,kill-client,takeover'
const profile = `--faults ${faults} --minutes 0.4 --agents 6 --rate 1 --seed ${seed}`

// Evidence: D4, P7
t.test('three nodes keep their promises while processes, Redis and links fail', { timeout: 220_000 }, async t => {
  t.comment(`npm run chaos -- ${profile}`)
  const args = [compiledProgram('chaos/main'), ...profile.split(' '), '--keep', await temporaryDirectory(t)]
  // After the time-out, SIGTERM lets the run end the processes that it started.
  const run = promisify(execFile)(...nodeEndingWithParent(...args), { timeout: 200_000, killSignal: 'SIGTERM' })
  const { stdout } = await run.catch(({ stdout, stderr }) => ({ stdout: `${stdout}\n${stderr}` }))
  const lines = stdout.trimEnd().split('\n')
  t.comment(lines.filter(line => !/^\w+: \d+ sent/.test(line)).join('\n'))
  t.equal(lines.at(-1), `pass; seed ${seed}`)
})
