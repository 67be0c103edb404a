import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { temporaryDirectory } from '../tools/clients/agents.ts'
import { nodeEndingWithParent } from '../tools/processes.ts'
import { startTestNode } from '../tools/servers/running-node.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const readme = read('README.md')

t.test('the library in the README is the example, and the example runs', async t => {
  const example = read('examples/conversation.js')
  t.ok(readme.includes(`\`\`\`js\n${example}\`\`\``))
  const { wsUrl } = await startTestNode(t)
  const env = { ...process.env, AIMESSAGE_SERVER: wsUrl, AIMESSAGE_HOME: await temporaryDirectory(t) }
  const { stdout } = await promisify(execFile)(...nodeEndingWithParent('examples/conversation.js'), { cwd: root, env })
  t.equal(stdout, 'bob is away: the node keeps it\nalice (first-use): The build on main is broken. Can you look?\n')
})

t.test('npm scripts in the README exist', async t => {
  const { scripts } = JSON.parse(read('package.json'))
  const named = [...readme.matchAll(/npm (?:run )?(demo|test|build|check|fix|bench)\b/g)].map(([, name]) =>
    String(name),
  )
  t.ok(named.includes('demo') && named.includes('test'))
  for (const name of named) t.ok(name in scripts, name)
})
