import { readdirSync, readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const src = fileURLToPath(new URL('../../src', import.meta.url))
const importPattern =
  /(?:^|\n)\s*(?:import|export)\s(?!type\b)[^'"]*?from\s+'(\.[^']+)'|import\(\s*'(\.[^']+)'|import\s+'(\.[^']+)'/g

const importsOf = (file: string): string[] =>
  [...readFileSync(file, 'utf8').matchAll(importPattern)].flatMap(([, from, dynamic, bare]) => {
    const path = from ?? dynamic ?? bare
    return path ? [resolve(dirname(file), path)] : []
  })

/** Every file that is loaded with the given ones. */
function reachable(files: readonly string[]): Set<string> {
  const seen = new Set<string>()
  const queue = [...files]
  for (let file = queue.pop(); file; file = queue.pop()) {
    if (seen.has(file)) continue
    seen.add(file)
    queue.push(...importsOf(file))
  }
  return seen
}

const sources = (folder: string): string[] =>
  readdirSync(resolve(src, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => resolve(src, folder, name))

const names = (files: Iterable<string>) => [...files].map(file => relative(src, file)).sort()

// Evidence: K2, X2
t.test('a node can check signatures and nothing else of the cryptography', async t => {
  const loaded = names(reachable(sources('server')))
  t.ok(loaded.includes('crypto/keys/relay-auth.ts'), 'the walk does reach crypto')
  const allowed = new Set([
    'crypto/keys/bundle.ts',
    'crypto/keys/card.ts',
    'crypto/encoding/byte-reader.ts',
    'crypto/encoding/byte-writer.ts',
    'crypto/errors.ts',
    'crypto/keys/identity.ts',
    // How a bundle is read before its signatures are checked: key ids and raw keys, and the bounds of both.
    'crypto/encoding/key-reader.ts',
    'crypto/labels.ts',
    'crypto/limits.ts',
    'crypto/primitives.ts',
    'crypto/keys/relay-auth.ts',
  ])
  t.same(
    loaded.filter(name => name.startsWith('crypto/') && !allowed.has(name)),
    [],
  )
})

t.test('of the primitives, what the signature checks use can neither agree on a key nor decrypt', async t => {
  const used = ['bundle', 'identity', 'relay-auth'].flatMap(name => {
    const text = readFileSync(resolve(src, `crypto/keys/${name}.ts`), 'utf8')
    const [, list = ''] = /import (?:type )?\{([^}]*)\} from '\.\.\/primitives\.ts'/.exec(text) ?? []
    return list.split(',').map(part => part.trim())
  })
  t.ok(used.some(name => name.includes('verifyEd25519')))
  t.same(
    used.filter(
      name =>
        /aes|decrypt|encrypt|hmac|hkdf|agree|diffie|x25519(?!Key)|encaps|decaps/i.test(name) &&
        !/^isX25519Key$/.test(name),
    ),
    [],
  )
})

t.test('a node loads nothing of the client', async t => {
  t.same(
    names(reachable(sources('server'))).filter(name => name.startsWith('client/') || name.startsWith('cli/')),
    [],
  )
})

t.test('the protocol does no input or output and knows neither side', async t => {
  const loaded = names(reachable(sources('protocol')))
  t.same(
    loaded.filter(name => !name.startsWith('protocol/') && !name.startsWith('util/')),
    [],
  )
  for (const file of sources('protocol')) t.notMatch(readFileSync(file, 'utf8'), /from 'node:/, relative(src, file))
})

t.test('each of these is known to one file', async t => {
  const usersOf = (pattern: RegExp) => names(sources('server').filter(file => pattern.test(readFileSync(file, 'utf8'))))
  t.same(usersOf(/process\.env/), ['server/base/config.ts'])
  t.same(usersOf(/from 'pino'/), ['server/base/logger.ts'])
  t.same(usersOf(/from 'ws'|@fastify\/websocket/), ['server/socket/websocket-route.ts'])
})
