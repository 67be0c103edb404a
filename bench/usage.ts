import { readFileSync } from 'node:fs'
import type { Running } from './systems/system.ts'

/** Clock ticks per second in `/proc/PID/stat`: 100 on all common Linux systems. */
const ticksPerSecond = 100
const pageBytes = 4096
export const mebibyte = 1_048_576

/** Returns the CPU time of a process, user and system, in µs. */
function cpuUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / ticksPerSecond
}

/** Returns the resident memory of a process, in bytes. */
export const residentBytes = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * pageBytes

/** The resident memory of a system's servers together, and of its Redis, in bytes. */
export const serverBytes = ({ pids }: Running): number => pids.reduce((total, pid) => total + residentBytes(pid), 0)
export const redisBytes = ({ redisPid }: Running): number => (redisPid === undefined ? 0 : residentBytes(redisPid))

/** The CPU time of a system so far, in µs: its servers, and its Redis. */
export type Usage = { server: number; redis: number }

export const usageOf = ({ pids, redisPid }: Running): Usage => ({
  server: pids.reduce((total, pid) => total + cpuUs(pid), 0),
  redis: redisPid === undefined ? 0 : cpuUs(redisPid),
})

export const since = (before: Usage, after: Usage): Usage => ({
  server: after.server - before.server,
  redis: after.redis - before.redis,
})
