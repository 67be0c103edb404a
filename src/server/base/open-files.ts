import { readFileSync } from 'node:fs'
import { limits } from '../../protocol/limits.ts'
import { type Config, ConfigError } from './config.ts'

/** The most files and sockets that this process may have open, or `null` where the system does not say. */
export function openFileLimit(): number | null {
  try {
    const [, text] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return text === undefined ? null : Number(text)
  } catch {
    return null
  }
}

/**
 * Compares MAX_CONNECTIONS with the files that the process may open. Returns a warning for the default.
 * @param isChosen true if the operator has set the variable
 * @throws {ConfigError} if the operator's number cannot be kept
 */
export function checkOpenFiles(isChosen: boolean, { maxConnections }: Config, limit: number | null): string | null {
  const needed = maxConnections + limits.httpReserve
  if (limit === null || limit >= needed) return null
  const room = limit - limits.httpReserve
  const why =
    `${maxConnections} needs ${needed} file descriptors, and the process may open ${limit}: ` +
    `raise ulimit -n${room > 0 ? `, or set MAX_CONNECTIONS to ${room} or less` : ''}`
  if (isChosen) throw new ConfigError('MAX_CONNECTIONS', why)
  return `MAX_CONNECTIONS ${why}`
}
