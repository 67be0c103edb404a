/** The faults, in the order in which usage texts and documents list them. */
export const faultNames = [
  'kill-node',
  'roll',
  'stop-node',
  'stall-node',
  'restart-redis',
  'kill-redis',
  'rollback',
  'full-redis',
  'pause-redis',
  'flush-scripts',
  'partition-node',
  'cut-redis',
  'delay-redis',
  'cut-pubsub',
  'half-open',
  'storm',
  'lost-client-acks',
  'lost-acks',
  'kill-client',
  'takeover',
  'clock',
  'restore',
  'clone',
] as const

export type FaultName = (typeof faultNames)[number]
