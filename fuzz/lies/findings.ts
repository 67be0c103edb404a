import type { Owner } from '../../tools/teardown.ts'
import { Findings as Counted } from '../findings.ts'
import type { Ledger } from './ledger.ts'
import type { Scene } from './scene.ts'
import type { LyingWorld } from './world.ts'

/** The result of a run: what the calls of the victims came to, and all violations. */
export class Findings {
  readonly #all = new Counted()

  get outcomes(): ReadonlyMap<string, number> {
    return this.#all.answers
  }

  get faults(): readonly string[] {
    return this.#all.faults
  }

  get faultCount(): number {
    return this.#all.faultCount
  }

  count(outcome: string, times = 1): void {
    for (let time = 0; time < times; time += 1) this.#all.count(outcome)
  }

  fault(what: string, input: unknown): void {
    this.#all.fault(what, input)
  }
}

export const reportTo =
  (findings: Findings, victim: string) =>
  (what: string, detail: unknown): void =>
    findings.fault(`${victim}: ${what}`, detail)

/** One round of lies to one kind of victim. Returns the number of lies. */
export type Round = (options: {
  owner: Owner
  world: LyingWorld
  findings: Findings
  seed: number
  /** Pairs of library clients at once. */
  pairs: number
}) => Promise<number>

/** A client that is refused at once dials again after a random part of a second, then less often. */
const windowMs = 10_000
const maxDials = 80
const maxFramesPerS = 3_000

/** A client that dials or sends without a pause is in a hot loop. */
export function checkPace(scene: Scene, ledger: Ledger): void {
  for (const { victim, dials, frames } of scene.peaks(windowMs)) {
    if (dials > maxDials) ledger.fault(`${victim} dialled ${dials} times within ${windowMs / 1_000} s`)
    if (frames > maxFramesPerS) ledger.fault(`${victim} sent ${frames} frames within a second`)
  }
}
