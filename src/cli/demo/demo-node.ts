import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, openClient, openDirectoryStore } from '../../client/node.ts'
import { parseUsername } from '../../protocol/names.ts'
import { readConfig } from '../../server/base/config.ts'
import { openLogger } from '../../server/base/logger.ts'
import { storeOptions } from '../../server/open-store.ts'
import { startNode } from '../../server/start-node.ts'
import { openMemoryStore } from '../../server/store/memory/memory-store.ts'
import { Recorder } from './recording-store.ts'

/** A node on a free port of this machine, with a directory for the state of the demo's agents. */
export type DemoNode = {
  server: string
  recorder: Recorder
  /** Returns the number of envelopes that the node keeps for a user. */
  countQueued(name: string): Promise<number>
  /** Opens an agent. Its state outlives the client, so that a second client can continue with it. */
  openAgent(name: string): Promise<Client>
  /** Closes the agents and the node, and deletes all state. */
  close(): Promise<void>
}

export async function startDemoNode(): Promise<DemoNode> {
  const recorder = new Recorder()
  const config = readConfig({ PORT: '0', HOST: '127.0.0.1', DOMAIN: 'localhost', STORE: 'memory' })
  const store = recorder.record(openMemoryStore(storeOptions(config)))
  const node = await startNode(config, { log: openLogger('trace', recorder.log), store })
  const server = node.url.replace('http', 'ws')
  const home = await mkdtemp(join(tmpdir(), 'aimessage-demo-'))
  const agents: Client[] = []
  return {
    server,
    recorder,
    countQueued: name => store.inboxes.countQueued(parseUsername(name)),
    openAgent: async name => {
      const client = await openClient({ server, store: await openDirectoryStore(join(home, name)) })
      agents.push(client)
      return client
    },
    close: async () => {
      await Promise.all(agents.map(client => client.close()))
      await node.close()
      await rm(home, { recursive: true, force: true })
    },
  }
}
