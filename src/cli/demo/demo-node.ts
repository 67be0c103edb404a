import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, openClient, openDirectoryStore, type StateStore } from '../../client/node.ts'
import { parseUsername } from '../../protocol/names.ts'
import { readConfig } from '../../server/base/config.ts'
import { openLogger } from '../../server/base/logger.ts'
import { storeOptions } from '../../server/open-store.ts'
import { startNode } from '../../server/start-node.ts'
import { openMemoryStore } from '../../server/store/memory/memory-store.ts'
import { Witness } from './recording-store.ts'

export type DemoAgent = { client: Client; store: StateStore }

/** A node of its own, on a free port, and a directory for the agents that play on it. */
export type Stage = {
  server: string
  witness: Witness
  /** How many envelopes the node keeps for a user. */
  countQueued(name: string): Promise<number>
  /** Opens an agent over its state, which outlives the agent but not the stage. */
  enter(name: string): Promise<DemoAgent>
  close(): Promise<void>
}

export async function openStage(): Promise<Stage> {
  const witness = new Witness()
  const config = readConfig({ PORT: '0', HOST: '127.0.0.1', DOMAIN: 'localhost', STORE: 'memory' })
  const store = witness.watch(openMemoryStore(storeOptions(config)))
  const node = await startNode(config, { log: openLogger('trace', witness.log), store })
  const server = node.url.replace('http', 'ws')
  const home = await mkdtemp(join(tmpdir(), 'aimessage-demo-'))
  const agents: DemoAgent[] = []
  return {
    server,
    witness,
    countQueued: name => store.inboxes.countQueued(parseUsername(name)),
    enter: async name => {
      const state = await openDirectoryStore(join(home, name))
      const agent = { client: await openClient({ server, store: state }), store: state }
      agents.push(agent)
      return agent
    },
    close: async () => {
      await Promise.all(agents.map(({ client }) => client.close()))
      await node.close()
      await rm(home, { recursive: true, force: true })
    },
  }
}
