import { readFileSync } from 'node:fs'
import { limits } from '../../protocol/limits.ts'
import { type Config, ConfigError, type Environment } from './config.ts'

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
 * @throws {ConfigError} if MAX_CONNECTIONS is set and cannot be kept
 */
export function checkOpenFiles(env: Environment, config: Config, limit: number | null): string | null {
  const needed = config.maxConnections + limits.httpReserve
  if (limit === null || limit >= needed) return null
  const room = limit - limits.httpReserve
  const why =
    `${config.maxConnections} needs ${needed} file descriptors, and the process may open ${limit}: ` +
    `raise ulimit -n${room > 0 ? `, or set MAX_CONNECTIONS to ${room} or less` : ''}`
  if (env.MAX_CONNECTIONS?.trim()) throw new ConfigError('MAX_CONNECTIONS', why)
  return `MAX_CONNECTIONS ${why}`
}
