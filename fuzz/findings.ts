/** The result of a run: how often each answer occurred, and all violations. */
export class Findings {
  readonly answers = new Map<string, number>()
  /** One line per violation, up to a limit; the others are only counted. */
  readonly faults: string[] = []
  faultCount = 0

  count(answer: string): void {
    this.answers.set(answer, (this.answers.get(answer) ?? 0) + 1)
  }

  fault(what: string, input: unknown): void {
    this.faultCount += 1
    if (this.faults.length < maxFaults) this.faults.push(`${what}: ${JSON.stringify(input).slice(0, maxInputChars)}`)
  }
}

const maxFaults = 20
const maxInputChars = 4_000
