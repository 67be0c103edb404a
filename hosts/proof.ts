import type { Owner } from '../tools/teardown.ts'

/** What one proof shows with a real host. */
export type Proof = {
  name: string
  title: string
  run(context: ProofContext): Promise<void>
}

export type ProofContext = {
  owner: Owner
  /** An empty directory, the home of the host. */
  home: string
  /** The program of the host. */
  program: string
  /** Notes whether something held; `seen` is shown if it did not. */
  check(what: string, holds: boolean, seen: unknown): void
}
