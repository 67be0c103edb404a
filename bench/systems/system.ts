/** One connected user of a messaging system. */
export type Agent = {
  /** Resolves when the system has accepted the message. */
  send(to: string, body: string): Promise<unknown>
  close(): void
}

/** How an agent connects: the node, and the loopback source address. */
export type Connecting = { node?: number; onMessage?: (body: string) => void }

/** A started system: its processes, and a function to connect. */
export type Running = {
  readonly name: string
  /** Process ids whose CPU time counts. */
  readonly pids: readonly number[]
  readonly redisPid: number | undefined
  connect(name: string, options: Connecting): Promise<Agent>
}

/** Ends its resources with the benchmark. */
export type Owner = { teardown(end: () => Promise<unknown> | unknown): unknown }
