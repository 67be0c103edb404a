/** What came of a run: how often each answer came, and everything that should not have. */
export class Findings {
  readonly answers = new Map<string, number>()
  /** One line each, at most so many; the rest is only counted. */
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
