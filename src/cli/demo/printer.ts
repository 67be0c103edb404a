import { escapeLines } from '../../util/escape.ts'
import type { Output } from '../base/output.ts'

/** Tells a demonstration step by step. */
export class Narrator {
  readonly #output: Output
  #step = 0

  constructor(output: Output) {
    this.#output = output
  }

  /** A numbered step with what came of it. `facts` is what `--json` shows. */
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
