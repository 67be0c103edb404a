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

/** Limits the size of files that Redis writes, which to Redis is the same as a full disk. */
const bound = ({ pid }: RedisProcess, bytes: number | 'unlimited') =>
  run('prlimit', ['--pid', String(pid), `--fsize=${bytes}:unlimited`])

/** Returns the size of the append-only file. */
async function writtenBytes({ dir }: RedisProcess): Promise<number> {
  const files = await readdir(join(dir, 'appendonlydir'))
  const sizes = await Promise.all(files.map(async file => (await stat(join(dir, 'appendonlydir', file))).size))
  return Math.max(...sizes)
}

// Evidence: R12
t.test(
  'R12: while the disk of Redis is full nothing is accepted; afterwards sends succeed without a restart',
  async t => {
    const redis = await startRedis(t)
    const { wsUrl } = await startNodeProcess(t, { REDIS_URL: redis.url })
    const alice = await RawClient.loggedIn(t, wsUrl)
    const bob = await RawClient.listening(t, wsUrl)
    const send = (id: string) => alice.request({ type: 'send', id, to: bob.user.username, body: 'AAAA' })
    const isFull = async () => String(await redis.cli('INFO', 'persistence')).includes('aof_last_write_status:err')

    t.match(await send('before'), { type: 'accepted' })
    await bound(redis, await writtenBytes(redis))
    // The first failing write is in memory, and Redis writes it to the file later: it may be accepted.
    const first = await send('finds-out')
    await until(isFull, 'Redis reports that it cannot write')
    const ids = Array.from({ length: 5 }, (_none, at) => `meanwhile-${at}`)
    for (const id of ids) t.match(await send(id), { type: 'error', code: 'unavailable' })

    await bound(redis, 'unlimited')
    // The first refused id comes first: until it is repeated, later sends to its recipient are refused.
    const oldest = first.type === 'accepted' ? (ids[0] ?? '') : 'finds-out'
    await until(async () => (await send(oldest)).type === 'accepted', 'the node accepts again')
    for (const id of ids) t.match(await send(id), { type: 'accepted' })
    const pushed = await bob.pushes(2 + ids.length)
    t.same(pushed.map(({ id }) => id).sort(), ['before', 'finds-out', ...ids].sort(), 'each once')

    await redis.kill('SIGKILL')
    await redis.restart()
    const later = await startNodeProcess(t, { REDIS_URL: redis.url })
    const again = await RawClient.listening(t, later.wsUrl, bob.user)
    const kept = await again.pushes(pushed.length)
    t.same(kept, pushed, 'all accepted messages are in the file')
  },
)
