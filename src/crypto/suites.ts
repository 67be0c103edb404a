/** The suites of docs/E2E.md section 2: 1 is X3DH, 2 is PQXDH with ML-KEM-768. */
export type Suite = 1 | 2

/** Highest first. */
export const suites: readonly Suite[] = [2, 1]

export const isSuite = (number: number): number is Suite => number === 1 || number === 2

/** Returns the highest offered suite within both bounds. */
export const commonSuite = (
  offered: readonly number[],
  { minSuite, maxSuite }: { minSuite: Suite; maxSuite: Suite },
): Suite | undefined => suites.find(suite => suite >= minSuite && suite <= maxSuite && offered.includes(suite))
