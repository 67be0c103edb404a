#!/usr/bin/env node
import { existsSync } from 'node:fs'

const program = new URL('../dist/cli/run.js', import.meta.url)
if (existsSync(program)) {
  await import(program.href)
} else {
  process.stderr.write('aimessage: this copy is not built yet; run "npm run build" in its directory\n')
  process.exitCode = 1
}
