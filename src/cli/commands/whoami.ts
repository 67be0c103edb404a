import { createPrivateKey, createPublicKey } from 'node:crypto'
import type { Command } from 'commander'
import type { Account } from '../../client/node.ts'
import { escapeLine } from '../../util/escape.ts'
import { type Context, notRegistered, requireState, type Start } from '../base/context.ts'
import type { Settings } from '../base/options.ts'

export function addWhoami(program: Command, start: Start): void {
  program
    .command('whoami')
    .description("show this agent's address and identity key; needs no server")
    .addHelpText('after', '\nJSON: {username, domain, address, identity}')
    .action((_options: object, command: Command) => start(command, whoami))
}

async function whoami(context: Context): Promise<void> {
  const { settings, output } = context
  const account = await readOwnAccount(settings)
  if (!account) throw notRegistered(settings)
  await output.print(account, paint => [
    paint.bold(escapeLine(account.address)),
    `identity key ${account.identity}`,
    paint.dim(`agent "${settings.agent}" in ${escapeLine(settings.directory)}`),
  ])
}

/** Reads the account from the state directly: opening a client would take most of the time. */
async function readOwnAccount(settings: Settings): Promise<Account | undefined> {
  await requireState(settings)
  const { openAgentDirectory } = await import('../../client/state/directory/agent-directory.ts')
  const { readAccount } = await import('../../client/connection/identity.ts')
  const { directory, secret } = settings
  const store = await openAgentDirectory(directory, secret ? { secret } : {})
  try {
    return await readAccount(store, publicKeyOf)
  } finally {
    await store.close()
  }
}

/** The bytes before the seed in PKCS #8 (RFC 8410 section 7). */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Uses Node's Ed25519: the client's own computes tables first, which does not pay for a single key. */
function publicKeyOf(seed: Uint8Array): Uint8Array {
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' })
  return Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x ?? '', 'base64url')
}
