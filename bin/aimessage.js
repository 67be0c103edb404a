#!/usr/bin/env node
import { existsSync } from 'node:fs'

// As process 1 of a container, a node would never get a SIGTERM that comes before its own handlers, which replace this.
function endBeforeStart() {
  process.exit(0)
}
if (process.argv[2] === 'serve') process.once('SIGTERM', endBeforeStart)

const program = new URL('../dist/cli/run.js', import.meta.url)
if (existsSync(program)) {
  await import(program.href)
} else {
  process.stderr.write('aimessage: this copy is not built yet; run "npm run build" in its directory\n')
  process.exitCode = 1
}
