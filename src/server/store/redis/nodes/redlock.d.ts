/** The part of redlock 5.0.0-beta.2 that this project uses. The package's `exports` do not declare its types. */
declare module 'redlock' {
  import type { Cluster, Redis } from 'ioredis'

  export class ResourceLockedError extends Error {}
  export class ExecutionError extends Error {}

  export interface Lock {
    /** By this process's clock, ms since 1970. It may be in the past. */
    readonly expiration: number
    release(): Promise<unknown>
    extend(durationMs: number): Promise<Lock>
  }

  export default class Redlock {
    constructor(
      clients: Iterable<Redis | Cluster>,
      settings?: { retryCount?: number; automaticExtensionThreshold?: number },
    )
    on(name: 'error', listener: (error: unknown) => void): this
    acquire(resources: string[], durationMs: number): Promise<Lock>
  }
}
