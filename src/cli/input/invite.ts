import { type Command, Option } from 'commander'
import { usageError } from '../base/failure.ts'
import { readSecretFile } from './secret-file.ts'

export const inviteVariable = 'AIMESSAGE_INVITE'

export type InviteOptions = { invite?: string; inviteFile?: string }

/** An invite works once, so it may be an option. The variable and the file hide it from other users of the machine. */
export const addInviteOptions = (command: Command, fileText: string): Command =>
  command
    .addOption(
      new Option(
        '--invite <code>',
        'invite, if the server requires one; other users of the machine can see an option, but not a variable',
      ).env(inviteVariable),
    )
    .option('--invite-file <file>', fileText)

/**
 * Returns the given invite, if any, in the form that `Client.register` takes. An empty variable counts as not set.
 * @param standardInput reads standard input, for `--invite-file -`; absent if it has another use
 * @throws {CliError} `usage`
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
  // The text does not repeat the value: it may be part of an invite.
  if (/^[!-~]+$/.test(given)) return { invite: given }
  throw usageError('an invite is printable ASCII without spaces; this one is not, or is empty')
}

async function readGiven(file: string, standardInput?: () => Promise<Uint8Array>): Promise<string> {
  if (file !== '-') return readSecretFile('--invite-file', file)
  if (standardInput)
    return Buffer.from(await standardInput())
      .toString('utf8')
      .trim()
  throw usageError('--invite-file - is not possible here, because standard input is in use: give a file')
}
