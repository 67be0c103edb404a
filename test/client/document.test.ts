import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import type { ClientEvents } from '../../src/client/node.ts'
import * as library from '../../src/client/node.ts'
import { temporaryDirectory } from '../../tools/clients/agents.ts'
import { builtFile, nodeEndingWithParent } from '../../tools/processes.ts'
import { startTestNode } from '../../tools/servers/running-node.ts'

const text = await readFile(new URL('../../docs/CLIENT.md', import.meta.url), 'utf8')

/** The names in the first column of the table under a heading. */
const namesUnder = (heading: string): string[] => {
  const section = text.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  const cells = section.split('\n').flatMap(line => line.match(/^\| (`.*?) \|/)?.[1] ?? [])
  return cells.flatMap(cell => [...cell.matchAll(/`([a-zA-Z-]+)`/g)].map(([, name]) => name ?? '')).sort()
}

const events: Record<keyof ClientEvents, true> = {
  connected: true,
  disconnected: true,
  reconnecting: true,
  listening: true,
  replaced: true,
  gap: true,
  'gap-healed': true,
  reordered: true,
  delivered: true,
  read: true,
  withdrawn: true,
  refused: true,
  delayed: true,
  'key-changed': true,
  withheld: true,
  session: true,
  'peer-reset': true,
  undecryptable: true,
  recovered: true,
  repaired: true,
  evicted: true,
  'not-taken': true,
  unreadable: true,
  failed: true,
  restored: true,
  'keys-low': true,
  published: true,
  'registered-again': true,
  generation: true,
}

t.test('the document lists every event, and no other', async t => {
  t.same(namesUnder('Events'), Object.keys(events).sort())
})

t.test('the document lists every method, and no other', async t => {
  const prototype: object = Object.getPrototypeOf(
    await library.openClient({ server: 'ws://localhost:1', store: library.openMemoryStore() }),
  )
  const methods = Object.getOwnPropertyNames(prototype).filter(name => name !== 'constructor')
  t.same(namesUnder('The methods'), methods.sort())
})

t.test('the programs of the document print what it says', async t => {
  const node = await startTestNode(t)
  const directory = await temporaryDirectory(t)
  const entry = pathToFileURL(builtFile('client/node')).href
  const programs = [...text.matchAll(/```js\n([\s\S]*?)```/g)].map(([, program = '']) => program)
  t.equal(programs.length, 3)
  for (const [at, program] of programs.entries()) {
    const file = join(directory, `program-${at}.mjs`)
    await writeFile(file, program.replace("'aimessage'", `'${entry}'`).replace('ws://localhost:8080', node.wsUrl))
    const { stdout } = await promisify(execFile)(...nodeEndingWithParent(file), { cwd: directory })
    const expected = [...program.matchAll(/console\.log\(.* \/\/ (?:.*: )?(.*)$/gm)].map(([, comment]) => comment)
    t.same(stdout.split('\n').slice(0, -1), expected)
  }
})
