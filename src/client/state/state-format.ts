import { StateError } from './state-error.ts'
import type { StateTransaction } from './state-store.ts'

/** The layout of what a client keeps under its keys. */
export interface StateFormat {
  /** 1 at first; one more with each change that older software would misread. */
  version: number
  /**
   * Brings what version `from` wrote to version `from + 1`. All steps and the new version are one transaction.
   * Not given: older versions are refused.
   */
  migrate?: (tx: StateTransaction, from: number) => Promise<void> | void
}

export const firstFormat: StateFormat = { version: 1 }

/**
 * Whether state of version `stored` must be migrated before use.
 * @throws StateError `version`, naming `path` and the way out
 */
export function needsMigration(stored: number, format: StateFormat, path: string): boolean {
  if (stored === format.version) return false
  if (stored > format.version) {
    throw new StateError(
      'version',
      `${path} was written by a newer version of aimessage (state format ${stored}, this one knows ${format.version}): update it.`,
    )
  }
  if (!format.migrate || stored < 1) {
    throw new StateError(
      'version',
      `${path} has state format ${stored}, and this version of aimessage knows only ${format.version}: use the version that wrote it.`,
    )
  }
  return true
}
