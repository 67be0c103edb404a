/** The owner of resources, which ends them: a `Teardown`, or a test. */
export type Owner = { teardown(end: () => Promise<unknown> | unknown): unknown }

/** Ends resources in the reverse order of their start. */
export class Teardown implements Owner {
  readonly #ends: (() => Promise<unknown> | unknown)[] = []

  teardown(end: () => Promise<unknown> | unknown): void {
    this.#ends.push(end)
  }

  /** Ends everything, even if ending one resource fails. */
  async run(): Promise<void> {
    for (let end = this.#ends.pop(); end; end = this.#ends.pop()) await Promise.resolve(end()).catch(() => {})
  }
}
