import { clientFaults } from './client-faults.ts'
import { copyFaults } from './copy-faults.ts'
import type { Fault } from './fault.ts'
import { linkFaults } from './link-faults.ts'
import type { FaultName } from './names.ts'
import { nodeFaults } from './node-faults.ts'
import { redisFaults } from './redis-faults.ts'

/** Every fault by its name. */
export const faults: Readonly<Record<FaultName, Fault>> = {
  ...nodeFaults,
  ...redisFaults,
  ...linkFaults,
  ...clientFaults,
  ...copyFaults,
}
