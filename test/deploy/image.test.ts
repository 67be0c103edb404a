import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { settings } from '../../src/server/base/config.ts'
import { endingWithParent } from '../../tools/processes.ts'
import {
  commandOf,
  environmentOf,
  type Instruction,
  readDockerfile,
  stagesOf,
  textsOf,
} from '../../tools/servers/dockerfile.ts'
import { openTestStore, startTestNode, withFaults } from '../../tools/servers/running-node.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const instructions = readDockerfile(join(root, 'Dockerfile'))
const [buildStage = [], imageStage = []] = stagesOf(instructions)
const { PATH, HOME } = process.env
const run = promisify(execFile)

t.test('every base image has one exact version', async t => {
  for (const from of textsOf(instructions, 'FROM')) t.match(from, /^node:\d+\.\d+\.\d+-[a-z-]+( AS \w+)?$/)
})

t.test('the image runs as an ordinary user, and sets only variables that a node knows', async t => {
  t.same(textsOf(imageStage, 'USER'), ['node'])
  const known = ['NODE_ENV', ...Object.keys(settings)]
  t.same(
    Object.keys(environmentOf(imageStage)).filter(name => !known.includes(name)),
    [],
  )
})

t.test('18.9 the health check follows HOST, needs no Node, and does not fail because Redis is away', async t => {
  const [program = '', ...args] = commandOf(textsOf(imageStage, 'HEALTHCHECK')[0] ?? '')
  t.not(program, 'node')
  const check = async (host: string, port: number): Promise<unknown> => {
    const env = { PATH, HOST: host, PORT: String(port) }
    const [code] = await once(spawn(...endingWithParent(program, args), { env, stdio: 'ignore' }), 'exit')
    return code
  }
  const store = withFaults(openTestStore(), { isReady: () => false })
  for (const [host, ...asked] of [['127.0.0.1', '0.0.0.0'], ['127.0.0.2'], ['localhost'], ['::1', '::']] as const) {
    const { port } = await startTestNode(t, { HOST: host }, { store })
    for (const each of [host, ...asked]) t.equal(await check(each, port), 0, `HOST=${each}`)
  }
  t.not(await check('127.0.0.1', 1), 0, 'nothing listens')
})

// The tests below execute the Dockerfile, with directories in place of layers.
const work = mkdtempSync(join(tmpdir(), 'aimessage-image-'))
t.teardown(() => rmSync(work, { recursive: true, force: true }))
const context = join(work, 'context')
const stages = { build: join(work, 'build'), image: join(work, 'image') }

t.test('.dockerignore allows plain names only, which make up the build context', async t => {
  const [all, ...kept] = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n').filter(isRule)
  t.equal(all, '*')
  for (const rule of kept) {
    t.match(rule, /^![\w.-]+$/, 'a plain name')
    cpSync(join(root, rule.slice(1)), join(context, rule.slice(1)), { recursive: true })
  }
})

t.test('the steps of the Dockerfile build the image from the context alone', async t => {
  await perform(t, buildStage, stages.build)
  await perform(t, imageStage, stages.image)
  t.ok(existsSync(join(stages.image, 'dist/cli/run.js')))
})

t.test('the image has no development dependency and no source', async t => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  const onlyDevelopment = Object.keys(packages).filter(name => packages[name].dev)
  t.ok(onlyDevelopment.includes('node_modules/tap'))
  t.same(
    onlyDevelopment.filter(name => existsSync(join(stages.image, name))),
    [],
  )
  t.same(readdirSync(stages.image).sort(), ['LICENSE', 'bin', 'dist', 'node_modules', 'package.json'])
})

// Evidence: U1
t.test('the container starts, is healthy, drains on SIGTERM, and is then unhealthy', async t => {
  const child = start({ DOMAIN: 'agents.example', STORE: 'memory', PORT: '0' })
  t.teardown(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  const port = await listeningPort(child.stdout)
  t.equal(await checkHealth(port), 0)
  child.kill('SIGTERM')
  t.same(await exited, [0, null])
  t.equal(await checkHealth(port), 1)
})

t.test('without a DOMAIN or a store the container ends with exit code 2 and names the missing variable', async t => {
  for (const [env, variable] of [
    [{ STORE: 'memory' }, 'DOMAIN'],
    [{ DOMAIN: 'agents.example' }, 'REDIS_URL'],
  ] as const) {
    const child = start(env)
    const lines: string[] = []
    createInterface(child.stderr).on('line', line => lines.push(line))
    t.same(await once(child, 'close'), [2, null])
    t.equal(lines.length, 1)
    t.match(lines[0], new RegExp(`^${variable} `))
  }
})

const isRule = (line: string): boolean => line !== '' && !line.startsWith('#')

/** Runs one stage of the Dockerfile, with the directory as its `WORKDIR /app`. */
async function perform(
  t: { comment(text: string): void },
  stage: readonly Instruction[],
  directory: string,
): Promise<void> {
  mkdirSync(directory)
  for (const { name, text } of stage) {
    if (name === 'COPY') copy(text, directory)
    if (name !== 'RUN') continue
    t.comment(text)
    // Neither the caller's npm settings nor the loaders of tap may reach this process.
    const env = { PATH, HOME, npm_config_prefer_offline: 'true' }
    await run('sh', ['-ec', `unset NODE_OPTIONS; ${text}`], { cwd: directory, env, maxBuffer: 64 * 1024 * 1024 })
  }
}

/** `COPY [--from=stage] source… target` */
function copy(text: string, directory: string): void {
  const words = text.split(/\s+/)
  const from = words[0]?.startsWith('--from=') ? words.shift() : undefined
  const target = words.pop() ?? ''
  for (const word of words) {
    const source = from ? join(stages.build, word.replace(/^\/app\//, '')) : join(context, word)
    const into = target.endsWith('/') ? join(target, basename(source)) : target
    cpSync(source, join(directory, into), { recursive: true, verbatimSymlinks: true })
  }
}

function imageProcess([command = '', ...args]: string[], env: Record<string, string>) {
  return spawn(...endingWithParent(command, args), {
    cwd: stages.image,
    env: { PATH, HOME, ...environmentOf(imageStage), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

const start = (env: Record<string, string>) => imageProcess(commandOf(textsOf(imageStage, 'CMD')[0] ?? ''), env)

async function checkHealth(port: string): Promise<unknown> {
  const child = imageProcess(commandOf(textsOf(imageStage, 'HEALTHCHECK')[0] ?? ''), { PORT: port })
  const [code] = await once(child, 'exit')
  return code
}

async function listeningPort(stdout: NodeJS.ReadableStream): Promise<string> {
  for await (const line of createInterface({ input: stdout })) {
    const port = /"url":"http:\/\/[^"]+:(\d+)".*"msg":"listening"/.exec(line)?.[1]
    if (port) return port
  }
  throw new Error('the node ended before it listened')
}
