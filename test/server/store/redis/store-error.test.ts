import { Redis } from 'ioredis'
import t from 'tap'
import { settled, toStoreError } from '../../../../src/server/store/redis/connection/store-error.ts'
import { startRedis } from '../../../../tools/servers/redis.ts'

t.test('no error of Redis or ioredis exposes the arguments of a command', async t => {
  const { url } = await startRedis(t)
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 })
  redis.on('error', () => {})
  t.teardown(() => redis.disconnect())
  await redis.connect()
  await redis.set('text', 'canary-value')
  const failing: [string, () => Promise<unknown>][] = [
    ['an unknown command', () => redis.call('NOSUCHCOMMAND', 'canary-argument', 'canary-second')],
    ['a command for another type', () => redis.hset('text', 'canary-field', 'canary-value')],
    ['a script that fails', () => redis.eval("return redis.call('HSET', 'text', ARGV[1], '1')", 0, 'canary-argument')],
    ['a script that does not compile', () => redis.eval('canary-argument', 0)],
    ['a wrong number of arguments', () => redis.call('SET', 'canary-key')],
    [
      'a connection that is gone',
      () => {
        redis.disconnect()
        return redis.get('canary-key')
      },
    ],
  ]
  for (const [what, fail] of failing) {
    const raw = await fail().then(
      () => t.fail(what),
      (error: unknown) => error,
    )
    const error = toStoreError(raw)
    t.notMatch(
      `${error.message} ${error.stack} ${JSON.stringify(error, Object.getOwnPropertyNames(error))}`,
      /canary/,
      what,
    )
    t.match(await settled(Promise.reject(raw)).catch((thrown: unknown) => thrown), { message: error.message })
  }
})
