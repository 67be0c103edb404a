import { type Command, Option } from 'commander'
import { usageError } from '../base/failure.ts'
import { readSecretFile } from './secret-file.ts'

export const inviteVariable = 'AIMESSAGE_INVITE'

export type InviteOptions = { invite?: string; inviteFile?: string }

/** An invite is used once, so it may be an option, too; the others are for whoever shares the machine. */
export const addInviteOptions = (command: Command, fileText: string): Command =>
  command
    .addOption(
      new Option(
        '--invite <code>',
        'where the server asks for one; other users of the machine see it in the list of processes, but not in the variable',
      ).env(inviteVariable),
    )
    .option('--invite-file <file>', fileText)

/**
 * The invite that is given, if one is, as `Client.register` takes it. An empty variable counts as not set. `standardInput` is read for `-`, where there is one to read.
 * @throws {CliError} usage
 */
export async function readInvite(
  { invite, inviteFile }: InviteOptions,
  standardInput?: () => Promise<Uint8Array>,
): Promise<{ invite?: string }> {
  if (invite && inviteFile !== undefined) {
    throw usageError(`an invite (--invite or ${inviteVariable}) and --invite-file are both given: use one of them`)
  }
  const given = inviteFile === undefined ? invite || undefined : await readGiven(inviteFile, standardInput)
  if (given === undefined) return {}
  // What it is instead is not said: it may be a part of one.
  if (/^[!-~]+$/.test(given)) return { invite: given }
  throw usageError('an invite is printable ASCII without a space, and this one is not, or it is empty')
}

async function readGiven(file: string, standardInput?: () => Promise<Uint8Array>): Promise<string> {
  if (file !== '-') return readSecretFile('--invite-file', file)
  if (standardInput)
    return Buffer.from(await standardInput())
      .toString('utf8')
      .trim()
  throw usageError('--invite-file - is not possible here, since standard input is taken: name a file')
}
