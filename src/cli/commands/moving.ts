import { resolve } from 'node:path'
import type { Command } from 'commander'
import { NotRegisteredError } from '../../client/base/errors.ts'
import type { Account } from '../../client/node.ts'
import { escapeLine } from '../../util/escape.ts'
import { type Context, notRegistered, type Start } from '../base/context.ts'
import { askSecret } from '../input/ask-secret.ts'

const secrets =
  '\nThe passphrase is read from AIMESSAGE_PASSPHRASE, a key from --key-file; without either, the command asks for a\n' +
  'passphrase on the terminal.'
const shape = '\nJSON: {file, username, domain, address, identity}'

export function addExport(program: Command, start: Start): void {
  program
    .command('export')
    .description('move this agent with all of its state into the encrypted FILE; it stops working here')
    .argument('<file>', 'a new file')
    .addHelpText('after', `\nRefused while another process uses the agent.${secrets}${shape}`)
    .action((file: string, _options: object, command: Command) => start(command, context => exportTo(context, file)))
}

export function addImport(program: Command, start: Start): void {
  program
    .command('import')
    .description('import an exported agent from FILE, and continue here')
    .argument('<file>', 'a file written by "aimessage export"')
    .addHelpText(
      'after',
      `\nAn existing identity is never replaced: give another --agent.${secrets} A given passphrase or key also encrypts` +
        ` the state here.${shape}`,
    )
    .action((file: string, _options: object, command: Command) => start(command, context => importFrom(context, file)))
}

async function exportTo(context: Context, file: string): Promise<void> {
  const { settings, output } = context
  const { hasState } = await import('../../client/state/directory/agent-directory.ts')
  if (!(await hasState(settings.directory))) throw notRegistered(settings)
  const secret = await askSecret(context, 'choose')
  const { exportAgent } = await import('../../client/node.ts')
  const account = await exportAgent(settings.directory, file, secret).catch(error => {
    throw error instanceof NotRegisteredError ? notRegistered(settings) : error
  })
  await output.print(moved(account, file), paint => [
    `${paint.green('exported')} ${paint.bold(escapeLine(account.address))} to ${escapeLine(file)}`,
    `The agent no longer works here. After "aimessage import" elsewhere, delete the file and ${escapeLine(settings.directory)}.`,
  ])
}

async function importFrom(context: Context, file: string): Promise<void> {
  const { settings, output } = context
  const secret = await askSecret(context, 'enter')
  const stateSecret = settings.secret && { stateSecret: settings.secret }
  const { importAgent } = await import('../../client/node.ts')
  const account = await importAgent(settings.directory, file, { secret, ...stateSecret })
  await output.print(moved(account, file), paint => [
    `${paint.green('imported')} ${paint.bold(escapeLine(account.address))} from ${escapeLine(file)}`,
    'Delete the file now: a second import would continue from an older state.',
  ])
}

const moved = (account: Account, file: string): object => ({ file: resolve(file), ...account })
