import t from 'tap'
import { importsOf, reachable, readSource, sourceFiles } from '../../tools/source-imports.ts'

const files = sourceFiles('src/crypto')

const primitives = 'src/crypto/primitives.ts'
const nodeProvider = 'src/crypto/node-provider.ts'

t.test('only primitives.ts imports @noble, and only the provider for Node imports the runtime', async t => {
  const packages = files.flatMap(file => importsOf(file).filter(({ isPackage }) => isPackage))
  t.ok(packages.length > 0, 'the search finds imports')
  for (const { from, to } of packages) {
    if (from === nodeProvider) t.equal(to, 'node:crypto')
    else {
      t.equal(from, primitives)
      t.match(to, /^@noble\//)
    }
  }
})

t.test('the browser does not load the provider for Node, and only the provider imports the primitives', async t => {
  t.notOk(reachable(['src/client/browser.ts'], { types: true }).has(nodeProvider))
  const users = sourceFiles('src').filter(file => importsOf(file).some(({ to }) => to === primitives))
  t.same(users.sort(), [nodeProvider, 'src/crypto/provider.ts'])
})

t.test('nothing in crypto/ reads a clock, a source of randomness or the environment', async t => {
  for (const file of files) {
    const source = readSource(file)
    t.notMatch(source, /Date\.now|new Date|performance\.|Math\.random|process\.|getRandomValues|setTimeout/, file)
    if (![primitives, 'src/crypto/provider.ts'].includes(file)) t.notMatch(source, /randomBytes/, file)
  }
})

t.test('the signature code of a node loads no code that could decrypt', async t => {
  const used = ['keys/bundle', 'keys/identity', 'keys/relay-auth', 'labels'].map(name => `src/crypto/${name}.ts`)
  const reached = reachable(used, { types: true })
  t.ok(reached.has('src/crypto/primitives.ts'), 'the walk reaches the primitives')
  for (const file of [
    'session/ratchet',
    'session/handshake',
    'session/decrypt-body',
    'session/encrypt-content',
    'session/session',
    'keys/prekeys',
  ]) {
    t.notOk(reached.has(`src/crypto/${file}.ts`), file)
  }
})
