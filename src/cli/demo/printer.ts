import { escapeLines } from '../../util/escape.ts'
import type { Output } from '../base/output.ts'

/** Prints the numbered steps of the demo. */
export class Printer {
  readonly #output: Output
  #step = 0

  constructor(output: Output) {
    this.#output = output
  }

  /** Prints one step and its outcome. `facts` is the content of `--json`. */
  async step(title: string, facts: Record<string, unknown>, lines: readonly string[]): Promise<void> {
    this.#step += 1
    const step = this.#step
    await this.#output.print({ step, title, ...facts }, paint => [
      `${paint.cyan(String(step).padStart(2))}  ${paint.bold(title)}`,
      ...lines.flatMap(escapeLines).map(line => `      ${line}`),
      '',
    ])
  }
}
