import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import t from 'tap'
import { temporaryDirectory } from '../../tools/clients/agents.ts'
import { jsonError, runCli } from '../fixtures/cli/cli.ts'

/** Invalid command lines and the text of their errors. */
const wrong: [args: string[], says: RegExp][] = [
  [[], /which command\? Run "aimessage --help"/],
  [['sned'], /unknown command 'sned'.*\n?.*Did you mean send\?[\s\S]*Run "aimessage --help"/],
  [['serve', 'now'], /too many arguments for 'serve'[\s\S]*aimessage serve --help/],
  [['register'], /missing required argument 'name'[\s\S]*usage: aimessage register \[options\] <name>/],
  [['send'], /missing required argument 'to'[\s\S]*usage: aimessage send \[options\] <to> \[text\]/],
  [['send', 'bob', 'two', 'words'], /too many arguments[\s\S]*aimessage send --help/],
  [['send', 'bob', '--ttl', '0'], /'0' is invalid\. Use a whole number from 1/],
  [['send', 'bob', '--timeout', 'soon'], /'soon' is invalid\. Use seconds/],
  [['send', 'bob', '-5 degrees'], /unknown option '-5 degrees'[\s\S]*aimessage send --help/],
  [['listen', '--count', 'all'], /'all' is invalid\. Use a whole number/],
  [['listen', '--wait', '1'], /unknown option '--wait'[\s\S]*usage: aimessage listen/],
  [['recv', '--wait', '-1'], /'-1' is invalid\. Use seconds from 0 to 86400/],
  [['recv', '--count', '1.5'], /'1.5' is invalid/],
  [['users', '--prefix'], /'--prefix <text>' argument missing[\s\S]*aimessage users/],
  [['whoami', '--loud'], /unknown option '--loud'[\s\S]*usage: aimessage whoami/],
  [['logout', 'now'], /too many arguments for 'logout'[\s\S]*usage: aimessage logout/],
  [['verify'], /missing required argument 'peer'[\s\S]*usage: aimessage verify \[options\] <peer> \[shown\]/],
  [['trust', 'bob', '--forget'], /unknown option '--forget'[\s\S]*aimessage trust --help/],
  [['privacy', 'friends'], /'friends' is invalid[\s\S]*anyone, contacts, allowlist[\s\S]*usage: aimessage privacy/],
  [['allow'], /missing required argument 'peer'[\s\S]*usage: aimessage allow/],
  [['block'], /missing required argument 'peer'[\s\S]*usage: aimessage block/],
  [['unrule'], /missing required argument 'peer'[\s\S]*usage: aimessage unrule/],
  [['sessions', '--end'], /'--end <session>' argument missing[\s\S]*usage: aimessage sessions/],
  [['admin'], /which command\? Run "aimessage admin --help"/],
  [['admin', 'blok', 'bob'], /unknown command 'blok'[\s\S]*Did you mean block\?/],
  [['admin', 'block'], /missing required argument 'name'[\s\S]*usage: aimessage admin block/],
  [['admin', 'invite', '--hours', '0'], /'0' is invalid/],
  [['admin', 'nodes'], /the administration token is missing: set AIMESSAGE_ADMIN_TOKEN/],
  [['admin', 'nodes', '--token-file', '/nonexistent'], /--token-file cannot be read/],
  [['export'], /missing required argument 'file'[\s\S]*usage: aimessage export/],
  [['import'], /missing required argument 'file'[\s\S]*usage: aimessage import/],
  [['encrypt', 'it'], /too many arguments for 'encrypt'[\s\S]*usage: aimessage encrypt/],
  [['decrypt', 'it'], /too many arguments for 'decrypt'[\s\S]*usage: aimessage decrypt/],
  [['demo', '--fast'], /unknown option '--fast'[\s\S]*usage: aimessage demo/],
  [['whoami', '--server', 'localhost'], /"localhost" is not a server URL: write ws:/],
  [['whoami', '--domain', 'NOT A DOMAIN'], /is not a domain/],
  [['whoami', '--agent', '../alice'], /--agent "..\/alice" is not a valid name: use 1 to 64 of/],
]

t.test(
  'an invalid command line ends with exit code 2, gives the reason and the remedy, and changes nothing',
  async t => {
    const home = await temporaryDirectory(t)
    const env = { AIMESSAGE_HOME: home, AIMESSAGE_SERVER: 'ws://127.0.0.1:1' }
    await Promise.all(
      wrong.map(async ([args, says]) =>
        t.match(await runCli(t, args, { env }), { code: 2, stdout: '', stderr: says }, args.join(' ')),
      ),
    )
    t.same(await readdir(home), [])
  },
)

t.test('with --json a usage error is one object', async t => {
  const result = await runCli(t, ['send', '--json'])
  t.match(result, { code: 2, stdout: '' })
  t.match(jsonError(result), { code: 'usage', message: /^missing required argument 'to'\nusage: / })
})

t.test('empty standard input is a usage error', async t => {
  const home = await temporaryDirectory(t)
  const result = await runCli(t, ['send', 'bob'], { env: { AIMESSAGE_HOME: home }, input: '' })
  t.match(result, { code: 2, stderr: /nothing to send: give a TEXT/ })
})

t.test('help and version go to standard output with exit code 0', async t => {
  t.match(await runCli(t, ['--version']), { code: 0, stdout: /^\d+\.\d+\.\d+\n$/, stderr: '' })
  t.match(await runCli(t, ['help', 'recv']), { code: 0, stdout: /--wait <seconds>[\s\S]*--server <url>/, stderr: '' })
})

t.test('an empty variable counts as not set', async t => {
  const home = await temporaryDirectory(t)
  const result = await runCli(t, ['whoami'], { env: { AIMESSAGE_HOME: '', AIMESSAGE_SERVER: '', HOME: home } })
  t.match(result, { code: 5 })
  t.ok(result.stderr.includes(`(${home}/.aimessage/default)`))
  t.notOk(existsSync(`${home}/.aimessage`), 'whoami creates no directory')
})
