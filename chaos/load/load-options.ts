/** The argument of a load process. */
export type LoadOptions = {
  server: string
  /** Contains one state directory per agent. */
  directory: string
  history: string
  inc: number
  agents: readonly AgentPlan[]
  /** Messages per second of one agent. */
  rate: number
  seed: number
  /** A text in every message. Found outside of clients, it shows a leak of plaintext. */
  canary: string
}

export type AgentPlan = { name: string; peers: readonly string[] }

/** The commands on standard input, one per line. */
export type LoadCommand =
  | { do: 'go' }
  /** Stops sending. */
  | { do: 'stop' }
  /** A second client of the agent listens for `ms`. */
  | { do: 'take-over'; agent: string; ms: number }
  /** Makes the clock of the process wrong by `ms`. */
  | { do: 'shift-clock'; ms: number }
  | { do: 'quit' }

/** The reports on standard output, one per line. */
export type LoadReport =
  | { is: 'ready' }
  /** Stopped, and every send has its answer. */
  | { is: 'idle' }
  | { is: 'taken-over'; agent: string }
