import t from 'tap'
import { reachable, readSource, sourceFiles } from '../../tools/source-imports.ts'

const nameIn = (file: string): string => file.replace(/^src\//, '')
/** Files that the given folder of src loads, as paths below src. */
const loadedBy = (folder: string): string[] => [...reachable(sourceFiles(`src/${folder}`))].map(nameIn).sort()

// Evidence: K2, X2
t.test('a node can check signatures and nothing else of the cryptography', async t => {
  const loaded = loadedBy('server')
  t.ok(loaded.includes('crypto/keys/relay-auth.ts'), 'the walk does reach crypto')
  const allowed = new Set([
    'crypto/keys/bundle.ts',
    'crypto/keys/card.ts',
    'crypto/encoding/byte-reader.ts',
    'crypto/encoding/byte-writer.ts',
    'crypto/errors.ts',
    'crypto/keys/identity.ts',
    // Parses a bundle before its signatures are checked: key ids, raw keys and their bounds.
    'crypto/encoding/key-reader.ts',
    'crypto/labels.ts',
    'crypto/limits.ts',
    'crypto/primitives.ts',
    'crypto/provider.ts',
    'crypto/keys/relay-auth.ts',
    'crypto/keys/reservation.ts',
  ])
  t.same(
    loaded.filter(name => name.startsWith('crypto/') && !allowed.has(name)),
    [],
  )
})

t.test('the primitives that the signature checks use can neither agree on a key nor decrypt', async t => {
  const used = ['bundle', 'identity', 'relay-auth'].flatMap(name => {
    const text = readSource(`src/crypto/keys/${name}.ts`)
    const [, list = ''] = /import (?:type )?\{([^}]*)\} from '\.\.\/provider\.ts'/.exec(text) ?? []
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
    loadedBy('server').filter(name => name.startsWith('client/') || name.startsWith('cli/')),
    [],
  )
})

t.test('the protocol does no input or output and knows neither side', async t => {
  const loaded = loadedBy('protocol')
  t.same(
    loaded.filter(name => !name.startsWith('protocol/') && !name.startsWith('util/')),
    [],
  )
  for (const file of sourceFiles('src/protocol')) t.notMatch(readSource(file), /from 'node:/, nameIn(file))
})

t.test('only one file reads process.env, imports pino, or imports WebSockets', async t => {
  const usersOf = (pattern: RegExp) =>
    sourceFiles('src/server')
      .filter(file => pattern.test(readSource(file)))
      .map(nameIn)
  t.same(usersOf(/process\.env/), ['server/base/config.ts'])
  t.same(usersOf(/from 'pino'/), ['server/base/logger.ts'])
  t.same(usersOf(/from 'ws'|@fastify\/websocket/), ['server/socket/websocket-route.ts'])
})
