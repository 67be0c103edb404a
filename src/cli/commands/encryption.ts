import type { Command } from 'commander'
import { escapeLine } from '../../util/escape.ts'
import { type Context, notRegistered, type Start } from '../base/context.ts'
import { askSecret } from '../input/ask-secret.ts'

const notes =
  '\nRefused while another process uses the agent. The passphrase is read from AIMESSAGE_PASSPHRASE, a key from --key-file;\n' +
  'without either, the command asks for a passphrase on the terminal.'

export function addEncrypt(program: Command, start: Start): void {
  program
    .command('encrypt')
    .description('encrypt the state of this agent on disk; every later command needs the passphrase or key')
    .addHelpText('after', `${notes}\nJSON: {directory, encrypted: true}`)
    .action((_options: object, command: Command) => start(command, encrypt))
}

export function addDecrypt(program: Command, start: Start): void {
  program
    .command('decrypt')
    .description('remove the encryption from the state of this agent')
    .addHelpText('after', `${notes}\nJSON: {directory, encrypted: false}`)
    .action((_options: object, command: Command) => start(command, decrypt))
}

async function encrypt(context: Context): Promise<void> {
  const directory = await stateOf(context)
  const { encryptState } = await import('../../client/node.ts')
  await encryptState(directory, await askSecret(context, 'choose'))
  await context.output.print({ directory, encrypted: true }, paint => [
    `${paint.green('encrypted')} ${escapeLine(directory)}`,
    'The old plaintext may stay on the disk until it is overwritten.',
  ])
}

async function decrypt(context: Context): Promise<void> {
  const directory = await stateOf(context)
  const { decryptState } = await import('../../client/node.ts')
  await decryptState(directory, await askSecret(context, 'enter'))
  await context.output.print({ directory, encrypted: false }, paint => [
    `${paint.green('decrypted')} ${escapeLine(directory)}`,
  ])
}

async function stateOf({ settings }: Context): Promise<string> {
  const { hasState } = await import('../../client/state/directory/agent-directory.ts')
  if (!(await hasState(settings.directory))) throw notRegistered(settings)
  return settings.directory
}
