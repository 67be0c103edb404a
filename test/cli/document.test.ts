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

/** The lines below a heading. */
function linesBelow(heading: string): string[] {
  const [, text = ''] = page.split(`\n## ${heading}\n`)
  return (text.split('\n## ')[0] ?? '').split('\n')
}

/** The rows of the table below a heading, cell by cell. */
const rows = (heading: string): string[][] =>
  linesBelow(heading)
    .filter(line => line.startsWith('|'))
    .slice(2)
    .map(line =>
      line
        .split('|')
        .slice(1, -1)
        .map(cell => cell.trim()),
    )

/** Each command of the page with its options: an item of a list, and the items below it. */
function listedCommands(): [command: string, options: string[]][] {
  const listed: [command: string, options: string[]][] = []
  for (const line of linesBelow('Commands')) {
    const [, indent, text = ''] = /^( *)- `([^`]+)`/.exec(line) ?? []
    if (indent === '') listed.push([text, []])
    else if (indent !== undefined) listed.at(-1)?.[1].push(text)
  }
  return listed
}

const quoted = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text)
const sorted = (list: readonly string[]) => [...list].sort()

/** Returns the commands with their subcommands. */
const allCommands = ({ commands }: Command): Command[] =>
  commands.flatMap(command => [command, ...allCommands(command)])
const pathOf = (command: Command): string =>
  command.parent?.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name()

/** `send <to> [text]` */
const synopsis = (command: Command): string =>
  [
    pathOf(command),
    ...command.registeredArguments.map(argument =>
      argument.required ? `<${argument.name()}>` : `[${argument.name()}]`,
    ),
  ].join(' ')
const flagsOf = (command: Command): string[] =>
  command.options.map(({ flags }) => flags).filter(flags => !/--(help|version)/.test(flags))

t.test('the page names every command with its arguments and options', async t => {
  const listed = listedCommands().map(([command, options]) => [command, sorted(options)])
  const known = allCommands(program).map(command => [synopsis(command), sorted(flagsOf(command))])
  t.same(Object.fromEntries(listed), Object.fromEntries(known))
  t.equal(listed.length, known.length, 'each command once')
})

t.test('the page names every shared option and its variable', async t => {
  const listed = rows('Options of all commands').map(([option, variable]) => [quoted(option)[0], quoted(variable)[0]])
  const known = program.options.filter(({ long }) => long !== '--version').map(({ flags, envVar }) => [flags, envVar])
  t.same(Object.fromEntries(listed), Object.fromEntries(known))
  for (const name of [passphraseVariable, inviteVariable, ...adminTokenVariables])
    t.ok(page.includes(`\`${name}\``), name)
})

t.test('the page and the help name the same defaults', async t => {
  for (const [option = '', , fallback = ''] of rows('Options of all commands')) {
    const [flags] = quoted(option)
    const [value] = quoted(fallback)
    const found = program.options.find(known => known.flags === flags)
    if (value) t.ok(found?.description.includes(`(default: ${value})`), `${flags}: ${value}`)
  }
})

t.test('the page lists the exit codes of the program', async t => {
  const listed = rows('Exit codes').map(([code, meaning]) => ({ code: Number(code), meaning: meaning ?? '' }))
  t.same(listed, Object.values(exitCodes))
})

t.test('the help of every command describes what it does and the JSON that it writes', async t => {
  for (const command of allCommands(program)) {
    let help = ''
    command.configureOutput({ writeOut: text => (help += text) }).outputHelp()
    t.ok(command.description().length > 10, command.name())
    if (!['serve', 'demo', 'mcp'].includes(command.name())) t.match(help, /\nJSON: /, command.name())
  }
})
