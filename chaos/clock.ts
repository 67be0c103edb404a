/** Returns ms since the machine started: a monotonic clock that is the same in every process. */
export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000
