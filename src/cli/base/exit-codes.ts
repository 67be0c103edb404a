/** What the command ends with. `docs/CLI.md` lists the same, and a test holds it against this table. */
export const exitCodes = {
  done: { code: 0, meaning: 'done' },
  fault: { code: 1, meaning: 'a fault of this program; or a node of `serve` that could not start' },
  usage: { code: 2, meaning: 'the command line, or a variable, is wrong' },
  refused: { code: 3, meaning: 'refused, with the protocol’s code' },
  unreachable: { code: 4, meaning: 'the server is out of reach, or is no aimessage server' },
  state: { code: 5, meaning: 'the local state: no identity yet, another one, or it cannot be used' },
  interrupted: { code: 130, meaning: 'ended by SIGINT (143 by SIGTERM); `listen` ends with 0' },
} as const

export type Exit = keyof typeof exitCodes
