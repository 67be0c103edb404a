/** The suites of docs/E2E.md section 2: 1 is X3DH, 2 is PQXDH with ML-KEM-768. */
export type Suite = 1 | 2

/** Highest first. */
export const suites: readonly Suite[] = [2, 1]

export const isSuite = (number: number): number is Suite => number === 1 || number === 2

/** The highest suite in both lists, not below `minimum`. */
export const commonSuite = (offered: readonly number[], minimum: Suite): Suite | undefined =>
  suites.find(suite => suite >= minimum && offered.includes(suite))
