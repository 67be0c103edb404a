import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import t from 'tap'
import { parse } from 'yaml'
import { readConfig, settings } from '../../src/server/base/config.ts'
import { RawClient } from '../../tools/clients/raw-client.ts'
import { startNodeProcess } from '../../tools/servers/node.ts'
import { startRedis } from '../../tools/servers/redis.ts'
import { nodeUser } from '../../tools/servers/redis-acl.ts'

const root = new URL('../../', import.meta.url)
const source = readFileSync(new URL('docker-compose.yml', root), 'utf8')
const compose = parse(source, { merge: true })
const { redis, caddy, ...nodes } = compose.services

/** Substitutes variables as Compose does if only the two required ones are set. */
const fillIn = (value: unknown): string =>
  String(value).replaceAll(/\$\{(\w+)[^}]*\}/g, (_, name) => filled[name] ?? '')
const filled: Record<string, string> = { DOMAIN: 'agents.example', REDIS_PASSWORD: 'secret-of-redis' }

const nodeEnvironment: Record<string, string> = Object.fromEntries(
  Object.entries(nodes.node1.environment).map(([name, value]) => [name, fillIn(value)]),
)

t.test('there are three nodes with the same configuration', async t => {
  t.same(Object.keys(nodes), ['node1', 'node2', 'node3'])
  for (const node of Object.values(nodes)) t.same(node, nodes.node1)
})

t.test('a node gets every setting, and no unknown variable', async t => {
  t.same(Object.keys(nodeEnvironment).sort(), Object.keys(settings).sort())
})

t.test('.env may set every variable that .env.example lists, and must set DOMAIN and REDIS_PASSWORD', async t => {
  const used = [...source.matchAll(/\$\{(\w+)/g)].map(([, name]) => String(name))
  t.same(
    used.filter(name => !Object.keys(settings).includes(name) && name !== 'REDIS_PASSWORD'),
    [],
  )
  const needed = new Set([...source.matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name))
  t.same(needed, new Set(['DOMAIN', 'REDIS_PASSWORD']))
})

t.test('a node accepts the configuration', async t => {
  t.match(readConfig({ ...nodeEnvironment, NODE_ENV: 'production' }), {
    domain: 'agents.example',
    host: '0.0.0.0',
    store: { kind: 'redis', url: 'redis://aimessage:secret-of-redis@redis:6379' },
  })
})

// Evidence: K13, X1
t.test('only Caddy publishes ports', async t => {
  const published = Object.entries<{ ports?: unknown }>(compose.services).filter(([, { ports }]) => ports)
  t.same(
    published.map(([name]) => name),
    ['caddy'],
  )
  t.same(caddy.ports, ['80:80', '443:443'])
})

t.test('every service is restarted and has a health check', async t => {
  for (const [name, service] of Object.entries<{ restart: string; build?: string; healthcheck?: object }>(
    compose.services,
  )) {
    t.equal(service.restart, 'unless-stopped', name)
    t.ok(service.healthcheck ?? service.build === '.', `${name} has a health check, its own or that of the image`)
  }
  t.same(nodes.node1.depends_on, { redis: { condition: 'service_healthy' } })
})

t.test('every image from a registry has one exact version', async t => {
  for (const { image } of [redis, caddy]) t.match(image, /^[a-z]+:\d+\.\d+\.\d+-alpine$/)
})

t.test('every mounted file and volume exists', async t => {
  for (const volume of [...redis.volumes, ...caddy.volumes]) {
    const [from = ''] = String(volume).split(':')
    t.ok(from.startsWith('./') ? existsSync(fileURLToPath(new URL(from, root))) : from in compose.volumes, from)
  }
})

t.test('the Caddyfile lists the nodes', async t => {
  const caddyfile = readFileSync(new URL('Caddyfile', root), 'utf8')
  const [, upstreams = ''] = /\{\$NODES:([^}]*)\}/.exec(caddyfile) ?? []
  t.same(
    upstreams.split(' '),
    Object.keys(nodes).map(name => `${name}:${nodeEnvironment.PORT}`),
  )
})

// Evidence: S2
t.test('the configuration of Redis keeps accepted messages, and a node logs no warning about it', async t => {
  const { url, cli } = await startRedis(t, { config: redisConfig(redis.command) })
  for (const [name, value] of Object.entries({
    appendonly: 'yes',
    appendfsync: 'everysec',
    'maxmemory-policy': 'noeviction',
    'stream-node-max-bytes': '1024',
  })) {
    t.match(JSON.stringify(await cli('config', 'get', name)), `"${value}"`, name)
  }
  const node = await startNodeProcess(t, { REDIS_URL: url })
  t.same(
    node.logs().filter(line => !line.includes('"level":30')),
    [],
  )
})

/** `redis-server --name value …`, without the lists of `--user`. */
function redisConfig([, ...args]: string[]): Record<string, string> {
  const pairs = args.flatMap((arg, at) => (arg.startsWith('--') ? [[arg.slice(2), args[at + 1] ?? '']] : []))
  return Object.fromEntries(pairs.filter(([name]) => name !== 'user'))
}

t.test('17.14 no container has rights, a writable image, or memory without a limit', async t => {
  for (const [name, service] of Object.entries<Record<string, unknown>>(compose.services)) {
    t.same(service.cap_drop, ['ALL'], name)
    t.same(service.cap_add, name === 'caddy' ? ['NET_BIND_SERVICE'] : undefined, name)
    t.equal(service.read_only, true, name)
    t.same(service.security_opt, ['no-new-privileges:true'], name)
    t.match(service.mem_limit, /^\d+[mg]$/, name)
  }
  t.equal(redis.user, 'redis', 'the image would have to change its user itself')
})

t.test('17.14 Redis is in a network of its own, which Caddy does not reach and which reaches nothing', async t => {
  t.same(redis.networks, ['store'])
  t.same(caddy.networks, ['front'])
  t.same(nodes.node1.networks, ['front', 'store'])
  t.same(compose.networks.store, { internal: true })
})

t.test('17.14 the Redis user of the nodes is that of docs/OPERATIONS.md; the default user can only ping', async t => {
  const args: string[] = redis.command.slice(1).map((arg: unknown) => fillIn(arg))
  const userAt = args.indexOf('--user')
  t.same(args.slice(userAt + 1, args.indexOf('--user', userAt + 1)), nodeUser('secret-of-redis').slice(1))

  const own = await startRedis(t, { config: redisConfig(redis.command), args: args.slice(userAt) })
  const url = own.url.replace('redis://', 'redis://aimessage:secret-of-redis@')
  const node = await startNodeProcess(t, { REDIS_URL: url })
  const alice = await RawClient.loggedIn(t, node.wsUrl)
  const bob = await RawClient.listening(t, node.wsUrl)
  t.match(await alice.request({ type: 'send', to: bob.user.username, body: 'AAAA' }), { type: 'accepted' })
  await bob.pushes(1)
  const stranger = new Redis(own.url, { lazyConnect: true, enableReadyCheck: false, retryStrategy: () => null })
  t.teardown(() => stranger.disconnect())
  stranger.on('error', () => {})
  t.equal(await stranger.ping(), 'PONG')
  await t.rejects(stranger.keys('*'), /NOPERM/)
  await t.rejects(stranger.get('aim:schema'), /NOPERM/)
})
