import { readFileSync } from 'node:fs'
import type { Running } from './systems/system.ts'

/** Clock ticks of `/proc/PID/stat` in a second, as Linux has it everywhere. */
const ticksPerSecond = 100
const pageBytes = 4096
export const mebibyte = 1_048_576

/** CPU time that a process has used, user and system, µs. */
export function cpuUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / ticksPerSecond
}

/** Resident memory of a process, bytes. */
export const residentBytes = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * pageBytes

/** Resident memory of a system's servers together, and of its Redis, bytes. */
export const serverBytes = ({ pids }: Running): number => pids.reduce((total, pid) => total + residentBytes(pid), 0)
export const redisBytes = ({ redisPid }: Running): number => (redisPid === undefined ? 0 : residentBytes(redisPid))

/** CPU time of a system so far, µs: its servers, and its Redis. */
export type Usage = { server: number; redis: number }

export const usageOf = ({ pids, redisPid }: Running): Usage => ({
  server: pids.reduce((total, pid) => total + cpuUs(pid), 0),
  redis: redisPid === undefined ? 0 : cpuUs(redisPid),
})

export const since = (before: Usage, after: Usage): Usage => ({
  server: after.server - before.server,
  redis: after.redis - before.redis,
})
