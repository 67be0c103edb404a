/** Whoever ends what was started: this, or a test. */
export type Owner = { teardown(end: () => Promise<unknown> | unknown): unknown }

/** What has to be ended, in the reverse order of how it began. */
export class Teardown implements Owner {
  readonly #ends: (() => Promise<unknown> | unknown)[] = []

  teardown(end: () => Promise<unknown> | unknown): void {
    this.#ends.push(end)
  }

  /** Ends everything, also where one end fails. */
  async run(): Promise<void> {
    for (let end = this.#ends.pop(); end; end = this.#ends.pop()) await Promise.resolve(end()).catch(() => {})
  }
}
