import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { readConfig, settings } from '../../src/server/base/config.ts'
import { startNodeProcess } from '../../tools/servers/node.ts'
import { startRedis } from '../../tools/servers/redis.ts'

const root = new URL('../../', import.meta.url)
const source = readFileSync(new URL('docker-compose.yml', root), 'utf8')
const compose = parse(source, { merge: true })
const { redis, caddy, ...nodes } = compose.services

/** Substitutes variables as Compose does if only `DOMAIN` is set. */
const fillIn = (value: unknown): string =>
  String(value).replaceAll(/\$\{(\w+)[^}]*\}/g, (_, name) => (name === 'DOMAIN' ? 'agents.example' : ''))

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

t.test('.env may set every variable that .env.example lists, and must set only DOMAIN', async t => {
  const used = [...source.matchAll(/\$\{(\w+)/g)].map(([, name]) => String(name))
  t.same(
    used.filter(name => !Object.keys(settings).includes(name)),
    [],
  )
  t.same(new Set([...source.matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name)), new Set(['DOMAIN']))
})

t.test('a node accepts the configuration', async t => {
  t.match(readConfig({ ...nodeEnvironment, NODE_ENV: 'production' }), {
    domain: 'agents.example',
    host: '0.0.0.0',
    store: { kind: 'redis', url: 'redis://redis:6379' },
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

/** `redis-server --name value …` */
function redisConfig([, ...args]: string[]): Record<string, string> {
  const pairs = args.flatMap((arg, at) => (arg.startsWith('--') ? [[arg.slice(2), args[at + 1] ?? '']] : []))
  return Object.fromEntries(pairs)
}
