/** The exit codes. A test compares this table with `docs/CLI.md`. */
export const exitCodes = {
  done: { code: 0, meaning: 'done' },
  fault: { code: 1, meaning: 'an internal error; or a node of `serve` that could not start' },
  usage: { code: 2, meaning: 'the command line or a variable is wrong' },
  refused: { code: 3, meaning: 'refused, with the protocol’s error code' },
  unreachable: { code: 4, meaning: 'the server is unreachable, or is not an aimessage server' },
  state: { code: 5, meaning: 'the local state has no identity yet, has another one, or cannot be used' },
  copied: { code: 6, meaning: 'done, but this state was started from an older copy twice within an hour' },
  interrupted: { code: 130, meaning: 'ended by SIGINT (143 by SIGTERM); `listen` ends with 0' },
} as const

export type Exit = keyof typeof exitCodes
