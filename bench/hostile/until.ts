import { setTimeout as delay } from 'node:timers/promises'

const everyMs = 100
const patienceMs = 120_000

/** Waits until a condition holds, and returns how long that took, in seconds. @throws after two minutes. */
export async function until(holds: () => boolean | Promise<boolean>, start = performance.now()): Promise<number> {
  while (!(await holds())) {
    if (performance.now() - start > patienceMs) throw new Error('waited for two minutes')
    await delay(everyMs)
  }
  return (performance.now() - start) / 1_000
}
