import { randomUUID } from 'node:crypto'
import t from 'tap'
import { memoryBacking, openMemoryStore } from '../../../src/server/store/memory/memory-store.ts'
import type { OpenWorld } from './contract/world.ts'
import { contractOptions } from './contract/world.ts'
import { storeContract } from './contract.ts'

/** Opens nodes with a clock that the test moves. */
const openMemoryWorld: OpenWorld = async (_t, changes = {}) => {
  let ahead = 0
  const options = { ...contractOptions, ...changes }
  const backing = memoryBacking(options, () => Date.now() + ahead)
  const open = async () => openMemoryStore({ ...options, nodeId: randomUUID() }, backing)
  const pass = async (ms: number) => {
    ahead += ms
  }
  return { a: await open(), b: await open(), open, pass }
}

storeContract(t, openMemoryWorld)
