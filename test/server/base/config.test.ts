import { readFileSync } from 'node:fs'
import t from 'tap'
import type { TSchema } from 'typebox'
import {
  ConfigError,
  type Environment,
  isSet,
  listenError,
  readConfig,
  type SettingName,
  settings,
} from '../../../src/server/base/config.ts'
import { checkOpenFiles, openFileLimit } from '../../../src/server/base/open-files.ts'
import { runNodeProcess } from '../../../tools/servers/node.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'

/** Returns the message of the error, which starts with the variable. */
function refusal(env: Environment): string {
  try {
    readConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return ''
}

t.test('without settings, a node uses memory and listens on loopback', async t => {
  t.match(readConfig({}), {
    port: 8080,
    host: '127.0.0.1',
    domain: 'localhost',
    store: { kind: 'memory' },
    metricsPort: null,
    registration: 'open',
    listing: 'open',
    adminTokenHash: null,
    allowedOrigins: [],
    trustProxy: [],
    sessionTtlMs: 86_400_000,
    messageTtlMs: 604_800_000,
    dedupeWindowMs: 600_000,
    inboxMaxMessages: 10_000,
    inboxMaxBytes: 16_777_216,
  })
})

t.test('an empty variable counts as not set', async t => {
  t.same(readConfig({ PORT: '', DOMAIN: ' ', REDIS_URL: '' }), readConfig({}))
})

t.test('everything can be set', async t => {
  const config = readConfig({
    PORT: '0',
    HOST: '0.0.0.0',
    DOMAIN: 'agents.example',
    REDIS_URL: 'rediss://redis.example:6380/1',
    LOG_LEVEL: 'debug',
    METRICS_PORT: '9090',
    REGISTRATION: 'invite',
    ALLOWED_ORIGINS: 'https://a.example, https://b.example:8443',
    TRUST_PROXY: '10.0.0.0/8, ::1',
    SESSION_TTL_S: '60',
    INBOX_MAX_MESSAGES: '5',
  })
  t.match(config, {
    port: 0,
    domain: 'agents.example',
    store: { kind: 'redis', url: 'rediss://redis.example:6380/1' },
    metricsPort: 9090,
    registration: 'invite',
    allowedOrigins: ['https://a.example', 'https://b.example:8443'],
    trustProxy: ['10.0.0.0/8', '::1'],
    sessionTtlMs: 60_000,
    inboxMaxMessages: 5,
  })
})

// Evidence: API8
t.test('an error names the wrong variable', async t => {
  const wrong: [Environment, string][] = [
    [{ PORT: 'http' }, 'PORT'],
    [{ PORT: '70000' }, 'PORT'],
    [{ PORT: '-1' }, 'PORT'],
    [{ PORT: '80.5' }, 'PORT'],
    [{ METRICS_PORT: 'on' }, 'METRICS_PORT'],
    [{ LOG_LEVEL: 'loud' }, 'LOG_LEVEL'],
    [{ REGISTRATION: 'maybe' }, 'REGISTRATION'],
    [{ LISTING: 'some' }, 'LISTING'],
    [{ ADMIN_TOKEN: 'x'.repeat(31) }, 'ADMIN_TOKEN'],
    [{ ADMIN_TOKEN: `${'x'.repeat(20)} ${'x'.repeat(20)}` }, 'ADMIN_TOKEN'],
    [{ DOMAIN: 'Not A Domain' }, 'DOMAIN'],
    [{ HOST: '0.0.0.0' }, 'DOMAIN'],
    [{ HOST: '10.0.0.5', DOMAIN: 'localhost' }, 'DOMAIN'],
    [{ REDIS_URL: 'http://redis' }, 'REDIS_URL'],
    [{ STORE: 'redis' }, 'REDIS_URL'],
    [{ STORE: 'disk' }, 'STORE'],
    [{ NODE_ENV: 'production' }, 'REDIS_URL'],
    [{ ALLOWED_ORIGINS: '*' }, 'ALLOWED_ORIGINS'],
    [{ ALLOWED_ORIGINS: 'https://a.example/path' }, 'ALLOWED_ORIGINS'],
    [{ TRUST_PROXY: 'proxy.example' }, 'TRUST_PROXY'],
    [{ SESSION_TTL_S: '0' }, 'SESSION_TTL_S'],
    [{ INBOX_MAX_BYTES: '1e9' }, 'INBOX_MAX_BYTES'],
  ]
  for (const [env, variable] of wrong) {
    const message = refusal(env)
    t.equal(message.split(' ', 1)[0], variable, message)
    t.notMatch(message, /\n/, 'one line')
  }
})

t.test('in production, the memory store must be set explicitly', async t => {
  t.same(readConfig({ NODE_ENV: 'production', STORE: 'memory' }).store, { kind: 'memory' })
})

t.test('the durability can be set if there is Redis', async t => {
  const REDIS_URL = 'redis://localhost:6379'
  t.match(readConfig({ REDIS_URL }).store, { durability: 'standard' })
  t.match(readConfig({ REDIS_URL, DURABILITY: 'strict' }).store, { durability: 'strict' })
  t.match(refusal({ REDIS_URL, DURABILITY: 'some' }), /^DURABILITY must be standard or strict/)
  for (const STORE of ['', 'memory'])
    t.match(refusal({ STORE, DURABILITY: 'strict' }), /^DURABILITY strict needs Redis/)
})

t.test('a wrong password in a URL is not repeated in the refusal', async t => {
  t.notMatch(refusal({ REDIS_URL: 'http://:secret@redis' }), /secret/)
  t.notMatch(refusal({ ADMIN_TOKEN: 'short-secret' }), /short-secret/)
  const config = readConfig({ ADMIN_TOKEN: 'secret'.repeat(8) })
  t.notMatch(JSON.stringify(config), /secretsecret/, 'nor kept')
})

t.test('.env.example lists every setting with its default and its description', async t => {
  const lines = readFileSync(new URL('../../../.env.example', import.meta.url), 'utf8').split('\n')
  for (const [name, { default: value, description }] of Object.entries(settings)) {
    const at = lines.indexOf(`#${name}=${value}`)
    t.ok(at > 0, name)
    t.equal(lines[at - 1], `# ${description}`)
  }
  const listed = lines.flatMap(line => /^#([A-Z_]+)=/.exec(line)?.[1] ?? [])
  t.same(listed, Object.keys(settings), 'and nothing else')
})

t.test('a node with a wrong configuration ends with 2 and one line', async t => {
  const { code, stderr } = await runNodeProcess({ HOST: '0.0.0.0' })
  t.equal(code, 2)
  t.match(stderr, /^DOMAIN must name this deployment[^\n]*\n$/)
})

/** Texts that are wrong for a setting of this schema, from its bounds. */
function wrongTexts(schema: TSchema & { anyOf?: TSchema[]; minimum?: number; maximum?: number }): string[] {
  const whole = [schema, ...(schema.anyOf ?? [])].find(part => 'minimum' in part) as typeof schema | undefined
  if (whole?.minimum !== undefined && whole.maximum !== undefined) {
    const bounds = [whole.minimum - 1, whole.maximum + 1].map(String)
    return [...bounds, '-0', '1.5', '1e3', '0x10', '1_000', '٣', 'NaN', 'tcp://10.0.0.1:80', '9'.repeat(40)]
  }
  return schema.anyOf ? ['no such choice', 'true', '0'] : []
}

/** Texts that are wrong for the settings whose schema is any text. */
const wrongPlainTexts: Partial<Record<SettingName, string[]>> = {
  DOMAIN: [
    'UPPER.example',
    'a b',
    '-x.example',
    'https://agents.example',
    'agents.example/',
    'a..b',
    `${'a'.repeat(64)}`,
  ],
  REDIS_URL: ['6379', 'redis:6379', 'http://one', 'redis://', 'redis://one/-1', 'redis://one/x', 'redis://one/99999'],
  ADMIN_TOKEN: ['short', `${'a'.repeat(20)} ${'b'.repeat(20)}`],
  ALLOWED_ORIGINS: ['*', 'agents.example', 'https://a.example/', 'https://a.example,*', 'null'],
  TRUST_PROXY: [
    '0.0.0.0/0',
    '::/0',
    '10.0.0.0/0',
    '10.0.0.0/8,::/0',
    '10.0.0.0/33',
    'proxy',
    '*',
    'true',
    '10.0.0.1:80',
  ],
}

t.test('18.8 no setting with a wrong value starts, and its error names the variable', async t => {
  let tried = 0
  for (const [name, { schema }] of Object.entries(settings)) {
    const texts = [...wrongTexts(schema), ...(wrongPlainTexts[name as SettingName] ?? [])]
    t.ok(texts.length > 0 || name === 'HOST', `${name} has wrong values`)
    for (const text of texts) {
      const message = refusal({ [name]: text })
      t.equal(message.split(' ', 1)[0], name, `${name}=${text}: ${message}`)
      t.notMatch(message, /\n/)
      tried += 1
    }
  }
  t.ok(tried > 100, `${tried} settings`)
  t.match(refusal({ PORT: '9090', METRICS_PORT: '9090' }), /^METRICS_PORT must differ from PORT/)
  t.equal(refusal({ PORT: '0', METRICS_PORT: '0' }), '', 'both may take a free port')
})

t.test(
  '18.8 MAX_CONNECTIONS that the open files do not allow is refused if it is set, and a warning if not',
  async t => {
    const check = (env: Environment, limit: number | null) =>
      checkOpenFiles(isSet('MAX_CONNECTIONS', env), readConfig(env), limit)
    t.equal(check({}, null), null)
    t.equal(check({}, 16_000), null)
    t.match(check({}, 15_999), /^MAX_CONNECTIONS 15000 needs 16000 .*ulimit -n.*14999/)
    t.equal(check({ MAX_CONNECTIONS: '24' }, 1_024), null)
    for (const [limit, advice] of [
      [1_023, /^MAX_CONNECTIONS 24 needs 1024 .*to 23 or less/],
      [400, /^MAX_CONNECTIONS 24 needs 1024 .*raise ulimit -n$/],
    ] as const)
      t.throws(() => check({ MAX_CONNECTIONS: '24' }, limit), { name: 'ConfigError', message: advice })
    t.ok((openFileLimit() ?? 1_000) > 100)
  },
)

t.test('18.8 an address that a node cannot listen on is a wrong setting that names its variable', async t => {
  const first = await startTestNode(t)
  const port = String(first.port)
  const refused = (env: Record<string, string>, message: RegExp) =>
    t.rejects(startTestNode(t, env), { name: 'ConfigError', message }, JSON.stringify(env))
  await refused({ PORT: port }, new RegExp(`^PORT ${port} is in use on 127.0.0.1`))
  await refused({ METRICS_PORT: port }, new RegExp(`^METRICS_PORT ${port} is in use`))
  await refused({ HOST: '192.0.2.1', DOMAIN: 'agents.example' }, /^HOST 192\.0\.2\.1 is no address of this machine/)
  await refused(
    { HOST: 'no-such-host.invalid', DOMAIN: 'agents.example' },
    /^HOST no-such-host\.invalid has no address/,
  )
  t.match(listenError(Object.assign(new Error(), { code: 'EACCES' }), 'PORT', { host: '::', port: 80 }), {
    message: /^PORT 80 may not be opened/,
  })
})
