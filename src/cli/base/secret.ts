import { readFileSync } from 'node:fs'
import { type Secret, secretKeyBytes } from '../../client/state/encryption/secret.ts'
import { asError } from '../../util/as-error.ts'
import { usageError } from './failure.ts'

/** Not an option: every user of the machine can see command lines. */
export const passphraseVariable = 'AIMESSAGE_PASSPHRASE'

/**
 * Returns the secret from the environment or the key file. An empty variable counts as not set.
 * @throws {CliError} `usage`
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
