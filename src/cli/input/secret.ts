import { readFileSync } from 'node:fs'
import type { Secret } from '../../client/node.ts'
import { secretKeyBytes } from '../../client/state/encryption/secret.ts'
import { asError } from '../../util/as-error.ts'
import type { Context } from '../base/context.ts'
import { usageError } from '../base/failure.ts'

/** Never an option: command lines are seen by every user of the machine. */
export const passphraseVariable = 'AIMESSAGE_PASSPHRASE'

/**
 * The secret that the environment gives, or the key file. An empty variable counts as not set.
 * @throws {CliError} usage
 */
export function readSecret(keyFile: string | undefined, env: NodeJS.ProcessEnv = process.env): Secret | undefined {
  const passphrase = env[passphraseVariable]
  if (passphrase && keyFile) throw usageError(`${passphraseVariable} and a key file are both given: use one of them`)
  if (keyFile) return { type: 'key', key: readKey(keyFile) }
  return passphrase ? { type: 'passphrase', passphrase } : undefined
}

function readKey(file: string): Uint8Array {
  const make = `make one with: (umask 077; head -c ${secretKeyBytes} /dev/urandom > FILE)`
  let key: Uint8Array
  try {
    key = new Uint8Array(readFileSync(file))
  } catch (error) {
    throw usageError(`--key-file cannot be read (${asError(error).message}); ${make}`)
  }
  if (key.length === secretKeyBytes) return key
  throw usageError(`--key-file ${file} has ${key.length} bytes, and a key has ${secretKeyBytes}; ${make}`)
}

/** The secret that is given, or the one that is typed: twice where it is chosen. @throws {CliError} usage, without a terminal. */
export async function askSecret({ settings, interruption }: Context, occasion: 'choose' | 'enter'): Promise<Secret> {
  if (settings.secret) return settings.secret
  if (!process.stdin.isTTY) {
    throw usageError(`there is no terminal to ask for a passphrase: set ${passphraseVariable}, or name a --key-file`)
  }
  const { promptSecret } = await import('./prompt.ts')
  const { signal } = interruption
  const passphrase = await promptSecret('passphrase: ', signal)
  if (occasion === 'choose' && (await promptSecret('once more: ', signal)) !== passphrase) {
    throw usageError('these were two different passphrases; nothing was done')
  }
  return { type: 'passphrase', passphrase }
}
