/** What a load process is started with. */
export type LoadOptions = {
  server: string
  /** One directory of state for each agent below it. */
  directory: string
  history: string
  inc: number
  agents: readonly AgentPlan[]
  /** Messages a second of one agent. */
  rate: number
  seed: number
  /** Stands in every message, to be looked for where it must not be. */
  canary: string
}

export type AgentPlan = { name: string; peers: readonly string[] }

/** One line each on standard input. */
export type LoadCommand =
  | { do: 'go' }
  /** Sends no more. */
  | { do: 'stop' }
  /** A second client of the agent listens for so long. */
  | { do: 'take-over'; agent: string; ms: number }
  | { do: 'quit' }

/** One line each on standard output. */
export type LoadReport =
  | { is: 'ready' }
  /** Stopped, and every send has its answer. */
  | { is: 'idle' }
  | { is: 'taken-over'; agent: string }
