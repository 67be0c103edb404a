import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import t from 'tap'
import { adminTokenVariables } from '../../src/cli/admin/admin-token.ts'
import { exitCodes } from '../../src/cli/base/exit-codes.ts'
import { passphraseVariable } from '../../src/cli/base/secret.ts'
import { inviteVariable } from '../../src/cli/input/invite.ts'
import { buildProgram } from '../../src/cli/program.ts'

const page = readFileSync(new URL('../../docs/CLI.md', import.meta.url), 'utf8')
const program = buildProgram(async () => {})

/** The rows of the table below a heading, cell by cell. */
function rows(heading: string): string[][] {
  const [, text = ''] = page.split(`\n## ${heading}\n`)
  const lines = (text.split('\n## ')[0] ?? '').split('\n').filter(line => line.startsWith('|'))
  return lines.slice(2).map(line =>
    line
      .split('|')
      .slice(1, -1)
      .map(cell => cell.trim()),
  )
}

const quoted = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text)
const sorted = (list: readonly string[]) => [...list].sort()

/** Commands of commands, too. */
const allCommands = ({ commands }: Command): Command[] =>
  commands.flatMap(command => [command, ...allCommands(command)])
const pathOf = (command: Command): string =>
  command.parent?.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name()

/** `send <to> [text]` */
const synopsis = (command: Command): string =>
  [
    pathOf(command),
    ...command.registeredArguments.map(one => (one.required ? `<${one.name()}>` : `[${one.name()}]`)),
  ].join(' ')
const flagsOf = (command: Command): string[] =>
  command.options.map(({ flags }) => flags).filter(flags => !/--(help|version)/.test(flags))

t.test('the page names every command with its arguments and options', async t => {
  const listed: [command: string, options: string[]][] = []
  for (const [command, , options] of rows('Commands')) {
    const [name] = quoted(command)
    if (name === undefined) listed.at(-1)?.[1].push(...quoted(options))
    else listed.push([name, quoted(options)])
  }
  for (const [, options] of listed) options.sort()
  const known = allCommands(program).map(command => [synopsis(command), sorted(flagsOf(command))])
  t.same(Object.fromEntries(listed), Object.fromEntries(known))
})

t.test('the page names every option of all commands, and its variable', async t => {
  const listed = rows('Options of all commands').map(([option, variable]) => [quoted(option)[0], quoted(variable)[0]])
  const known = program.options.filter(({ long }) => long !== '--version').map(({ flags, envVar }) => [flags, envVar])
  t.same(Object.fromEntries(listed), Object.fromEntries(known))
  for (const name of [passphraseVariable, inviteVariable, ...adminTokenVariables])
    t.ok(page.includes(`\`${name}\``), name)
})

t.test('the defaults of the page are those that the options name', async t => {
  for (const [option = '', , fallback = ''] of rows('Options of all commands')) {
    const [flags] = quoted(option)
    const [value] = quoted(fallback)
    const known = program.options.find(one => one.flags === flags)
    if (value) t.ok(known?.description.includes(`(default: ${value})`), `${flags}: ${value}`)
  }
})

t.test('the page and the table of exit codes say the same', async t => {
  const listed = rows('Exit codes').map(([code, meaning]) => ({ code: Number(code), meaning: meaning ?? '' }))
  t.same(listed, Object.values(exitCodes))
})

t.test('every command says in its help what it does and what JSON it writes', async t => {
  for (const command of allCommands(program)) {
    let help = ''
    command.configureOutput({ writeOut: text => (help += text) }).outputHelp()
    t.ok(command.description().length > 10, command.name())
    if (!['serve', 'demo', 'mcp'].includes(command.name())) t.match(help, /\nJSON: /, command.name())
  }
})
