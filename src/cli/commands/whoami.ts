import type { Command } from 'commander'
import type { Account } from '../../client/node.ts'
import { type Context, notRegistered, requireState, type Start } from '../context.ts'
import { escapeLine } from '../escape.ts'
import type { Settings } from '../options.ts'

export function addWhoami(program: Command, start: Start): void {
  program
    .command('whoami')
    .description("say this agent's address and identity key; asks no server")
    .addHelpText('after', '\nJSON: {username, domain, address, identity}')
    .action((_options: object, command: Command) => start(command, whoami))
}

async function whoami(context: Context): Promise<void> {
  const { settings, output } = context
  const account = await readAccount(settings)
  if (!account) throw notRegistered(settings)
  await output.print(account, paint => [
    paint.bold(escapeLine(account.address)),
    `identity key ${account.identity}`,
    paint.dim(`agent "${settings.agent}" in ${escapeLine(settings.directory)}`),
  ])
}

/** Reads the account from the state. It needs no client, which would be most of the work. */
async function readAccount(settings: Settings): Promise<Account | undefined> {
  await requireState(settings)
  const { openAgentDirectory } = await import('../../client/state/directory/agent-directory.ts')
  const { Identity, toAccount } = await import('../../client/connection/identity.ts')
  const { directory, secret } = settings
  const store = await openAgentDirectory(directory, secret ? { secret } : {})
  try {
    const { self } = await Identity.open(store)
    return self && toAccount(self)
  } finally {
    await store.close()
  }
}
