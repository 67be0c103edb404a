import { execFile } from 'node:child_process'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { RawClient } from '../../../../tools/clients/raw-client.ts'
import { startNodeProcess } from '../../../../tools/servers/node.ts'
import { type RedisProcess, startRedis } from '../../../../tools/servers/redis.ts'
import { until } from '../contract/world.ts'

const run = promisify(execFile)

/** No file of Redis grows above so many bytes: what a full disk is to it. */
const bound = ({ pid }: RedisProcess, bytes: number | 'unlimited') =>
  run('prlimit', ['--pid', String(pid), `--fsize=${bytes}:unlimited`])

/** How large its append-only file is. */
async function writtenBytes({ dir }: RedisProcess): Promise<number> {
  const files = await readdir(join(dir, 'appendonlydir'))
  const sizes = await Promise.all(files.map(async file => (await stat(join(dir, 'appendonlydir', file))).size))
  return Math.max(...sizes)
}

// Evidence: R12
t.test('R12: while the disk of Redis is full nothing is accepted; after that all goes on by itself', async t => {
  const redis = await startRedis(t)
  const { wsUrl } = await startNodeProcess(t, { REDIS_URL: redis.url })
  const alice = await RawClient.loggedIn(t, wsUrl)
  const bob = await RawClient.listening(t, wsUrl)
  const send = (id: string) => alice.request({ type: 'send', id, to: bob.user.username, body: 'AAAA' })
  const isFull = async () => String(await redis.cli('INFO', 'persistence')).includes('aof_last_write_status:err')

  t.match(await send('before'), { type: 'accepted' })
  await bound(redis, await writtenBytes(redis))
  // The write that finds out is in memory, and will be in the file when there is room: it may be accepted.
  const first = await send('finds-out')
  await until(isFull, 'Redis says that it cannot write')
  const ids = Array.from({ length: 5 }, (_none, at) => `meanwhile-${at}`)
  for (const id of ids) t.match(await send(id), { type: 'error', code: 'unavailable' })

  await bound(redis, 'unlimited')
  await until(async () => (await send(ids[0] ?? '')).type === 'accepted', 'the node accepts again')
  if (first.type !== 'accepted') t.match(await send('finds-out'), { type: 'accepted' })
  for (const id of ids) t.match(await send(id), { type: 'accepted' })
  const pushed = await bob.pushes(2 + ids.length)
  t.same(pushed.map(({ id }) => id).sort(), ['before', 'finds-out', ...ids].sort(), 'each once')

  await redis.kill('SIGKILL')
  await redis.restart()
  const later = await startNodeProcess(t, { REDIS_URL: redis.url })
  const again = await RawClient.listening(t, later.wsUrl, bob.user)
  const kept = await again.pushes(pushed.length)
  t.same(kept, pushed, 'all that was accepted is in the file')
})
