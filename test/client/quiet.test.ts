import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const source = fileURLToPath(new URL('../../src', import.meta.url))

// Evidence: U2
t.test('only the command line and the start of a node write to the terminal', async t => {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'))
  const writers = files.filter(name =>
    /\bconsole\.|process\.std(?:out|err)\b/.test(readFileSync(`${source}/${name}`, 'utf8')),
  )
  t.same(
    writers.filter(name => !name.startsWith('cli/')),
    ['server/run-node.ts'],
  )
})
