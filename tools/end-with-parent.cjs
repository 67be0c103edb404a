// Preload of tests and runners (`node --require=./tools/end-with-parent.cjs`): this process ends when its parent has ended, by SIGKILL
// too. Its children follow: see `endingWithParent` in processes.ts.
const { readFileSync } = require('node:fs')

const checkEveryMs = 500
/** Ids of the process that started this one, and of its parent if the former is a shell: `npm run` starts programs through one. */
const ancestors = lineage()

setInterval(() => {
  if (lineage().join() !== ancestors.join()) process.kill(process.pid, 'SIGKILL')
}, checkEveryMs).unref()

function lineage() {
  const { ppid } = process
  const stat = readStat(ppid)
  return stat && /^(?:ba|da)?sh$/.test(stat.name) && process.env.npm_lifecycle_event ? [ppid, stat.ppid] : [ppid]
}

/** Returns undefined on systems without /proc, and for a process that has ended. */
function readStat(pid) {
  try {
    const [, name, ppid] = /^\d+ \((.*)\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))
    return { name, ppid: Number(ppid) }
  } catch {
    return undefined
  }
}
