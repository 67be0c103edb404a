import { StateError } from './state-error.ts'
import type { StateTransaction } from './state-store.ts'

/** The layout of the values that a client stores. */
export interface StateFormat {
  /** Starts at 1. Increases with each change that older software would misread. */
  version: number
  /**
   * Converts data of version `from` to version `from + 1`. All steps and the new version are one transaction.
   * Without it, older versions are refused.
   */
  migrate?: (tx: StateTransaction, from: number) => Promise<void> | void
}

export const firstFormat: StateFormat = { version: 1 }

/**
 * Returns true if a state of version `stored` must be migrated before use.
 * @throws {StateError} `version`; the text names `path` and what to do
 */
export function needsMigration(stored: number, format: StateFormat, path: string): boolean {
  if (stored === format.version) return false
  if (stored > format.version) {
    throw new StateError(
      'version',
      `${path} was written by a newer version of aimessage (state format ${stored}, this version reads ${format.version}): update.`,
    )
  }
  if (!format.migrate || stored < 1) {
    throw new StateError(
      'version',
      `${path} has state format ${stored}; this version of aimessage reads only ${format.version}: use the version that wrote it.`,
    )
  }
  return true
}
