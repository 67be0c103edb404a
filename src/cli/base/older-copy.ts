import type { ClientEvents } from '../../client/base/events.ts'
import { CliError } from './failure.ts'

/** What it means that the state of this agent was an older copy, for a person. */
export const olderCopyText = ({ peers }: ClientEvents['restored']): string =>
  `this state was an older copy of one that went on elsewhere: its sessions with ${peers} peers start again, and ` +
  'messages on their way to this agent arrive late, or are reported to their senders. Use each state in one place ' +
  'only, and never start twice from the same copy'

/** The second time within an hour. The command itself has done its work. */
export const copiedAgain = (): CliError =>
  new CliError(
    'copied',
    'state_copied',
    'this agent was started from an older copy twice within an hour: its state is copied at every start, or used in ' +
      'two places. Peers set its messages aside, and messages to it are lost. Keep the state directory on a volume ' +
      'that outlives the process, or register a new name for each run (docs/STATE.md)',
  )
