import { readFileSync } from 'node:fs'
import t from 'tap'
import { adminRoutes } from '../../src/protocol/admin-http.ts'
import { closeCodes, errors, type Reconnect } from '../../src/protocol/errors.ts'
import { clientFrames, serverFrames } from '../../src/protocol/frames.ts'
import { httpRoutes } from '../../src/protocol/http.ts'
import { limits } from '../../src/protocol/limits.ts'

const page = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8')

/** The text of one numbered section. */
function section(number: number): string {
  const [, text = ''] = page.split(new RegExp(`^## ${number}\\. .*$`, 'm'))
  return text.split(/^## /m)[0] ?? ''
}

/** The rows of the n-th table of a section, without its header. */
function rows(number: number, table = 0): string[][] {
  const tables = section(number)
    .split(/\n(?!\|)/)
    .map(block => block.split('\n').filter(line => line.startsWith('|')))
    .filter(lines => lines.length > 2)
  return (tables[table] ?? []).slice(2).map(line =>
    line
      .slice(1, -1)
      .split('|')
      .map(cell => cell.trim()),
  )
}

const names = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
const sorted = (list: Iterable<string>) => [...list].sort()

/** Field names as the page writes them: in backquotes, `?` for optional fields; types in brackets are not names. */
const fieldsOf = (cell: string) => names(cell).flatMap(name => (/^[a-zA-Z]+\??/.exec(name) ?? []).map(String))

const schemaFields = (schema: { properties: object; required?: readonly string[] }, ...without: string[]) =>
  Object.keys(schema.properties)
    .filter(name => !without.includes(name))
    .map(name => (schema.required?.includes(name) ? name : `${name}?`))

t.test('section 3 lists every frame of a client with its answer and state', async t => {
  const table = rows(3)
  t.same(sorted(table.flatMap(([type]) => names(type))), sorted(Object.keys(clientFrames)))
  for (const [type, , answer, state] of table) {
    const [name = ''] = names(type)
    const entry = Object.entries(clientFrames).find(([key]) => key === name)?.[1]
    t.equal(entry?.reply ?? 'none', names(answer)[0] ?? answer, `${name}: answer`)
    t.equal(entry?.state, state === 'any' ? 'challenged' : state, `${name}: state`)
  }
})

t.test("section 3 lists every field of a client's frames", async t => {
  for (const [type, fields = ''] of rows(3)) {
    const [name = ''] = names(type)
    const entry = Object.entries(clientFrames).find(([key]) => key === name)?.[1]
    // `authenticate` has two forms, and the row of `ack` mentions the missing `id`.
    const listed = fieldsOf(fields).filter(field => !(name === 'ack' && field === 'id'))
    const known = entry ? schemaFields(entry.schema, 'type', 'id') : []
    const same = (field: string) => field.replace('?', '')
    if (name === 'authenticate') t.same(sorted(listed.map(same)), sorted(known.map(same)), name)
    else t.same(sorted(listed), sorted(known), name)
  }
})

t.test('section 4 lists every frame of a node with its fields', async t => {
  const table = rows(4)
  t.same(sorted(table.flatMap(([type]) => names(type))), sorted(Object.keys(serverFrames)))
  for (const [types, fields = ''] of table) {
    for (const name of names(types)) {
      const schema = Object.entries(serverFrames).find(([key]) => key === name)?.[1]
      t.same(sorted(fieldsOf(fields)), sorted(schema ? schemaFields(schema, 'type') : []), name)
    }
  }
})

t.test('section 9 lists the errors of the code', async t => {
  const listed = rows(9).map(([code, http, , retry]) => [names(code)[0], { http: Number(http), retry }])
  t.same(Object.fromEntries(listed), errors)
})

t.test('section 9 lists the close codes of the code', async t => {
  const reconnects = (cell: string): Reconnect => {
    if (cell === 'no') return 'no'
    if (cell.includes('signature')) return 'signature'
    return cell.includes('user') ? 'user' : 'back'
  }
  const listed = rows(9, 1).map(([code, , reconnect = '']) => ({
    code: Number(code),
    reconnect: reconnects(reconnect),
  }))
  t.same(
    listed,
    [...Object.values(closeCodes)].sort((a, b) => a.code - b.code),
  )
})

// Evidence: API9
t.test('section 10 lists the HTTP routes of the code', async t => {
  const listed = rows(10)
    .flatMap(([cell = '']) => cell.split(',').map(part => [cell.split(' ')[0], ...names(part)]))
    .map(([method, path]) => `${method} ${path}`)
    .filter(route => route.includes('/v1/'))
  const known = Object.values(httpRoutes).map(({ method, path }) => `${method} ${path.replace(/:(\w+)/, '{$1}')}`)
  t.same(sorted(listed), sorted(known))
})

t.test("section 11 lists the operator's routes of the code", async t => {
  const listed = rows(11).map(([cell = '']) => `${cell.split(' ')[0]} ${names(cell)[0]}`)
  const known = Object.values(adminRoutes).map(({ method, path }) => `${method} ${path.replace(/:(\w+)/, '{$1}')}`)
  t.same(sorted(listed), sorted(known))
})

t.test('all but the first three routes of section 10 need a token', async t => {
  const open = Object.entries(httpRoutes).filter(([, { auth }]) => !auth)
  t.same(
    open.map(([name]) => name),
    ['challenge', 'register', 'login'],
  )
})

t.test('the page states the limits of the code', async t => {
  const stated: [keyof typeof limits, string][] = [
    ['maxFrameBytes', 'at most 131072 bytes and 8 levels deep'],
    ['maxDepth', 'at most 131072 bytes and 8 levels deep'],
    ['maxBodyChars', 'at most 122880 characters'],
    ['maxUnacked', '`maxUnacked` (256)'],
    ['loginTimeoutMs', 'after 10 s is closed with 4408'],
    ['pingMs', 'ping every 25 s'],
    ['silenceMs', 'silent for 35 s'],
    ['dedupeWindowS', '`DEDUPE_WINDOW_S`, default 600'],
    ['inboxMaxMessages', '`INBOX_MAX_MESSAGES`, default 10000'],
    ['maxEnvelopesPerSender', 'at most 900 envelopes'],
    ['maxPage', '1–500, default 100'],
    ['defaultPage', '1–500, default 100'],
    ['maxRules', 'A list holds 10000 names'],
    ['maxOneTimeKeys', '(100 and 20)'],
    ['maxOneTimeKemKeys', '(100 and 20)'],
    ['maxSessionsPerUser', 'at most 50; the oldest goes'],
    ['maxWaitS', '0–50 s'],
  ]
  const seconds = (name: string, value: number) => (name.endsWith('Ms') ? value / 1000 : value)
  for (const [name, text] of stated) {
    t.ok(page.replaceAll('\n', ' ').includes(text), `the page says: ${text}`)
    t.match(text, new RegExp(`\\b${seconds(name, limits[name])}\\b`), `${name} is in: ${text}`)
  }
})
