import { deliveryInvariants } from './delivery.ts'
import { ownershipInvariants } from './ownership.ts'
import { positionInvariants } from './positions.ts'
import { recoveryInvariants } from './recovery.ts'
import type { Invariant, ReportInput } from './report-input.ts'
import { secretInvariants } from './secrets.ts'
import { storageInvariants } from './storage.ts'

const numberOf = ({ name }: Invariant): number => Number(name.slice(1))

/** The invariants I1 to I17, in this order. */
export const invariants: readonly Invariant[] = [
  ...deliveryInvariants,
  ...positionInvariants,
  ...storageInvariants,
  ...ownershipInvariants,
  ...secretInvariants,
  ...recoveryInvariants,
].sort((a, b) => numberOf(a) - numberOf(b))

export type Broken = { invariant: Invariant; faults: string[] }

/** Returns the invariants that do not hold, with their violations. */
export const check = (input: ReportInput): Broken[] =>
  invariants.map(invariant => ({ invariant, faults: invariant.check(input) })).filter(({ faults }) => faults.length > 0)
