import t from 'tap'
import { MemoryDisk, openMemoryStore } from '../../../src/client/state/memory-store.ts'
import { contract } from './store-contract.ts'

for (const { name, run } of contract) {
  t.test(name, t => {
    const disk = new MemoryDisk()
    return t.resolves(run(async () => openMemoryStore(disk)))
  })
}
