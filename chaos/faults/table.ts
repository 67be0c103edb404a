import { clientFaults } from './client-faults.ts'
import type { Fault } from './fault.ts'
import { linkFaults } from './link-faults.ts'
import { nodeFaults } from './node-faults.ts'
import { redisFaults } from './redis-faults.ts'

/** Every fault by its name. */
export const faults = { ...nodeFaults, ...redisFaults, ...linkFaults, ...clientFaults } as const satisfies Record<
  string,
  Fault
>

export type FaultName = keyof typeof faults
export const faultNames = Object.keys(faults) as FaultName[]
