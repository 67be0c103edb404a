import type { Command } from 'commander'
import { escapeLine } from '../../util/escape.ts'
import { raceAbort } from '../../util/signal.ts'
import { type Context, reportOlderCopy, type Start, withNewAgent } from '../base/context.ts'
import { addInviteOptions, type InviteOptions, readInvite } from '../input/invite.ts'
import { readStandardInput } from '../input/standard-input.ts'

export function addRegister(program: Command, start: Start): void {
  const register = program
    .command('register')
    .description('register NAME for this agent with a new key; the name belongs to that key from then on')
    .argument('<name>', '3 to 32 of a-z 0-9 . _ -')
  addInviteOptions(register, 'a file with the invite; - is standard input')
    .addHelpText('after', '\nJSON: {username, domain, address, identity}')
    .action((name: string, options: InviteOptions, command: Command) =>
      start(command, context => claim(context, name, options)),
    )
}

async function claim(context: Context, name: string, options: InviteOptions): Promise<void> {
  const { settings, output, interruption } = context
  const invite = await readInvite(options, () => readStandardInput(interruption.signal))
  const account = await withNewAgent(settings, client => {
    reportOlderCopy(client, context)
    return raceAbort(client.register(name, invite), interruption.signal)
  })
  await output.print(account, paint => [
    `${paint.green('registered')} ${paint.bold(escapeLine(account.address))}`,
    `identity key ${account.identity}`,
  ])
}
