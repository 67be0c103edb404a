import type { Secret } from '../../client/node.ts'
import type { Context } from '../base/context.ts'
import { usageError } from '../base/failure.ts'
import { passphraseVariable } from '../base/secret.ts'

/**
 * Returns the configured secret, or asks for a passphrase on the terminal: twice if it is a new one.
 * @throws {CliError} `usage` if there is no terminal.
 */
export async function askSecret({ settings, interruption }: Context, occasion: 'choose' | 'enter'): Promise<Secret> {
  if (settings.secret) return settings.secret
  if (!process.stdin.isTTY) {
    throw usageError(`there is no terminal to ask for a passphrase: set ${passphraseVariable}, or use --key-file`)
  }
  const { promptSecret } = await import('./prompt.ts')
  const { signal } = interruption
  const passphrase = await promptSecret('passphrase: ', signal)
  if (occasion === 'choose' && (await promptSecret('repeat it: ', signal)) !== passphrase) {
    throw usageError('the two passphrases differ; nothing was changed')
  }
  return { type: 'passphrase', passphrase }
}
