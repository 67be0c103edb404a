import { execFile } from 'node:child_process'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { Identity } from '../../src/client/connection/identity.ts'
import { savePrekeys } from '../../src/client/records/crypto-records.ts'
import { encodeInteger } from '../../src/client/records/integer-record.ts'
import { keys } from '../../src/client/records/keys.ts'
import { openDirectoryStore } from '../../src/client/state/directory/directory-store.ts'
import { randomBytes } from '../../src/crypto/provider.ts'
import { encodePeer } from '../../src/crypto/session/peer-codec.ts'
import { parseUsername } from '../../src/protocol/names.ts'
import { encodeBase64Url, toHex } from '../../src/util/bytes.ts'
import { makeAcquainted } from '../../tools/clients/crypto-agents.ts'
import { nodeEndingWithParent } from '../../tools/processes.ts'

/**
 * CPU time of starting an agent with many sessions: `npx tsx bench/client-start/main.ts`. Other work on the machine has
 * little influence on CPU time.
 */
const peers = 1_000
/** Of the last 14 days. */
const messages = 20_000
const starts = 9

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

async function makeState(directory: string): Promise<void> {
  const store = await openDirectoryStore(directory)
  const identity = await Identity.open(store)
  await identity.prepare(parseUsername('alice'), 'localhost', randomBytes(32))
  await identity.confirm({ token: encodeBase64Url(randomBytes(32)), generation: '1' })
  const [alice] = makeAcquainted()
  await store.transaction(tx => {
    savePrekeys(tx, alice.prekeys)
    const record = encodePeer(alice.peer)
    for (let at = 0; at < peers; at += 1) tx.put(keys.peer(parseUsername(`peer-${at}`)), record)
    for (let at = 0; at < messages; at += 1) {
      tx.put(
        keys.seen(parseUsername(`peer-${at % peers}`), encodeBase64Url(randomBytes(16))),
        encodeInteger(Date.now()),
      )
      tx.put(keys.body(toHex(randomBytes(16))), encodeInteger(Date.now()))
    }
  })
  await store.close()
}

const root = await mkdtemp(join(tmpdir(), 'aimessage-start-'))
try {
  await symlink(here('../../node_modules'), join(root, 'node_modules'))
  const script = join(root, 'start.mjs')
  const options = { bundle: true, platform: 'node', format: 'esm', target: 'node20' } as const
  await build({ ...options, entryPoints: [here('./start.ts')], outfile: script, external: ['libsql', 'ws'] })
  const directory = join(root, 'state')
  await makeState(directory)
  const costs: { cpuMs: number; openMs: number }[] = []
  for (let at = 0; at < starts; at += 1) {
    const { stdout } = await promisify(execFile)(...nodeEndingWithParent(script, directory))
    costs.push(JSON.parse(stdout))
  }
  const median = (values: number[]): number => Math.round(values.sort((a, b) => a - b)[starts >> 1] ?? 0)
  const cpuMs = median(costs.map(cost => cost.cpuMs))
  const openMs = median(costs.map(cost => cost.openMs))
  console.log(
    `${peers} sessions, ${messages} messages remembered: ${cpuMs} ms CPU from the start of Node, ${openMs} of it to open`,
  )
} finally {
  await rm(root, { recursive: true, force: true })
}
