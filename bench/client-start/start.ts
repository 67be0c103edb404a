import { openClient, openDirectoryStore } from '../../src/client/node.ts'

/** One start: says what it cost this process until the client is ready for use, ms of CPU. */
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
const before = cpuMs()
const client = await openClient({ server: 'ws://localhost:1', store: await openDirectoryStore(process.argv[2] ?? '') })
if (client.account === null) throw new Error('the state has no account')
console.log(JSON.stringify({ cpuMs: cpuMs(), openMs: cpuMs() - before }))
await client.close()
