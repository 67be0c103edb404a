/** One connected user of a messaging system, as the load sees it. */
export type Agent = {
  /** Resolves when the system has taken the message. */
  send(to: string, body: string): Promise<unknown>
  close(): void
}

/** How an agent connects: to which of the nodes, and from which loopback address. */
export type Connecting = { node?: number; onMessage?: (body: string) => void }

/** A started system: its processes, and the way in. */
export type Running = {
  readonly name: string
  /** Process ids whose CPU time counts. */
  readonly pids: readonly number[]
  readonly redisPid: number | undefined
  connect(name: string, options: Connecting): Promise<Agent>
}

/** What ends with the benchmark. */
export type Owner = { teardown(end: () => Promise<unknown> | unknown): unknown }
