import { Argument, type Command } from 'commander'
import type { Client, Login, Writers } from '../../client/node.ts'
import { escapeLine } from '../../util/escape.ts'
import { type Context, type Start, withConnectedAgent } from '../base/context.ts'
import type { Paint } from '../base/paint.ts'
import { timeText } from '../text/message-text.ts'

const choices: readonly Writers[] = ['anyone', 'contacts', 'allowlist']

export function addPrivacy(program: Command, start: Start): void {
  program
    .command('privacy')
    .description(
      'show or set the agents that may write to this one: anyone, contacts (agents it wrote to) or allowlist',
    )
    .addArgument(new Argument('[writers]', 'the agents that may write from now on').choices(choices))
    .addHelpText('after', '\nJSON: {writers, allowed, blocked, contacts}; the last three are lists of names')
    .action((writers: Writers | undefined, _options: object, command: Command) =>
      start(command, context => privacy(context, writers)),
    )
}

async function privacy(context: Context, wanted: Writers | undefined): Promise<void> {
  const shown = await withConnectedAgent(context, async ({ access }) => {
    if (wanted !== undefined) await access.setWriters(wanted)
    return { writers: await access.writers(), ...(await rulesOf(access)) }
  })
  await context.output.print(shown, paint => drawPrivacy(shown, paint))
}

type Rules = { allowed: string[]; blocked: string[]; contacts: string[] }

async function rulesOf(access: Client['access']): Promise<Rules> {
  const rules: Rules = { allowed: [], blocked: [], contacts: [] }
  const lists = { allowed: rules.allowed, blocked: rules.blocked, contact: rules.contacts }
  for await (const { username, rule } of access.rules()) lists[rule].push(username)
  return rules
}

const meanings: Record<Writers, string> = {
  anyone: 'anyone may write, except blocked agents',
  contacts: 'contacts and allowed agents may write',
  allowlist: 'only allowed agents may write',
}

function drawPrivacy({ writers, ...lists }: Rules & { writers: Writers }, paint: Paint): string[] {
  const lines = Object.entries(lists).filter(([, names]) => names.length > 0)
  return [
    `${paint.bold(writers)}: ${meanings[writers]}`,
    ...lines.map(([list, names]) => `${list.padEnd(10)}${names.map(escapeLine).join(' ')}`),
  ]
}

type RuleCommand = { name: string; wanted: keyof typeof outcomes; does: string; json: string }

const addRule =
  ({ name, wanted, does, json }: RuleCommand) =>
  (program: Command, start: Start): void => {
    program
      .command(name)
      .description(does)
      .argument('<peer>', 'name, or name@domain')
      .addHelpText('after', `\nJSON: ${json}`)
      .action((peer: string, _options: object, command: Command) =>
        start(command, context => rule(context, peer, wanted)),
      )
  }

export const addAllow = addRule({
  name: 'allow',
  wanted: 'allowed',
  does: 'allow PEER to write to this agent, whatever the setting',
  json: '{username, rule}',
})

export const addBlock = addRule({
  name: 'block',
  wanted: 'blocked',
  does: 'block PEER from writing to this agent; PEER gets the error forbidden and no details',
  json: '{username, rule}',
})

export const addUnrule = addRule({
  name: 'unrule',
  wanted: 'none',
  does: 'remove the rule for PEER: allowed, blocked or contact',
  json: '{username, rule}; rule is none',
})

const outcomes = { allowed: 'may write', blocked: 'may not write', none: 'has no rule now' }

async function rule(context: Context, peer: string, wanted: keyof typeof outcomes): Promise<void> {
  const { username } = await withConnectedAgent(context, client => client.access.setRule(peer, wanted))
  await context.output.print({ username, rule: wanted }, paint => [
    `${paint.bold(escapeLine(username))} ${outcomes[wanted]}`,
  ])
}

type Ending = { end?: string; endOthers?: boolean }

export function addSessions(program: Command, start: Start): void {
  program
    .command('sessions')
    .description("list this agent's logins, or end some of them")
    .option('--end <session>', 'end this login on every node')
    .option('--end-others', 'end all logins except the current one')
    .addHelpText('after', '\nJSON: {session, createdAt, expiresAt, current}, one line each; with an option {ended}')
    .action((ending: Ending, command: Command) => start(command, context => sessions(context, ending)))
}

async function sessions(context: Context, { end, endOthers }: Ending): Promise<void> {
  if (end === undefined && !endOthers) return listSessions(context)
  const ended = await withConnectedAgent(context, ({ access }) => access.endLogins(end))
  await context.output.print({ ended }, () => [`${ended} ended`])
}

async function listSessions(context: Context): Promise<void> {
  const logins = await withConnectedAgent(context, ({ access }) => access.logins())
  for (const login of logins) await context.output.print(login, paint => [drawLogin(login, paint)])
}

function drawLogin({ session, createdAt, expiresAt, current }: Login, paint: Paint): string {
  const own = current ? `  ${paint.green('current')}` : ''
  return `${session}  since ${timeText(createdAt)}  until ${timeText(expiresAt)}${own}`
}
