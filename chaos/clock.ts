/** ms since the machine started: the same clock in every process, and none that anybody sets. */
export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000
