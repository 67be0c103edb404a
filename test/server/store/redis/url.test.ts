import t from 'tap'
import { parseRedisUrl } from '../../../../src/server/store/redis/connection/redis-url.ts'

const plain = { tls: false, db: 0, username: null, password: null, sentinelUsername: null, sentinelPassword: null }

t.test('URLs of a server and of Sentinels are parsed', async t => {
  const server = 'rediss://user:word@redis.example:6380/1'
  t.same(parseRedisUrl(server), { kind: 'server', url: server })
  t.same(parseRedisUrl('redis+sentinel://one:26380,[::1]:5,three/mail'), {
    ...plain,
    kind: 'sentinel',
    primary: 'mail',
    sentinels: [
      { host: 'one', port: 26_380 },
      { host: '::1', port: 5 },
      { host: 'three', port: 26_379 },
    ],
  })
  t.match(parseRedisUrl('rediss+sentinel://:p%40ss@one/mail/3?sentinel-username=u&sentinel-password=s'), {
    tls: true,
    db: 3,
    username: null,
    password: 'p@ss',
    sentinelUsername: 'u',
    sentinelPassword: 's',
  })
})

t.test('the URL of a Cluster lists some of its servers', async t => {
  t.same(parseRedisUrl('rediss+cluster://user:p%40ss@one:7000,two'), {
    kind: 'cluster',
    servers: [
      { host: 'one', port: 7_000 },
      { host: 'two', port: 6_379 },
    ],
    tls: true,
    username: 'user',
    password: 'p@ss',
  })
})

t.test('18.8 the path of a URL is nothing or the number of a database, for a server and for Sentinels', async t => {
  for (const path of ['', '/', '/0', '/7', '/0015', '/9999']) t.ok(parseRedisUrl(`redis://one:6379${path}`), path)
  for (const path of [
    '/-1',
    '/0x1',
    '/abc',
    '/1e1',
    '/+1',
    '/1.0',
    '/%31',
    '/10000',
    '/1/',
    '/1/2',
    '//1',
    '?db=3',
    '/ 1',
  ])
    t.equal(parseRedisUrl(`redis://one:6379${path}`), null, path)
  for (const db of ['-1', '0x1', 'abc', '10000']) t.equal(parseRedisUrl(`redis+sentinel://one/mail/${db}`), null, db)
})

t.test('a URL without a primary or a host is invalid', async t => {
  const wrong = [
    'http://one',
    'redis+sentinel://one',
    'redis+sentinel://one/',
    'redis+sentinel:///mail',
    'redis+sentinel://one,,two/mail',
    'redis+sentinel://one:0/mail',
    'redis+sentinel://one:70000/mail',
    'redis+sentinel://:%zz@one/mail',
    'redis+cluster://',
    'redis+cluster://one/1',
    'redis+cluster://one,',
  ]
  for (const url of wrong) t.equal(parseRedisUrl(url), null, url)
})
