// Shortens the output of `npm test` for CI: one line for each file that passed, all failures of a file that failed.
import { createInterface } from 'node:readline'

/** The end of a file, outside of every subtest. */
const verdict = /^(not )?ok \d+ - /
/** What passed, was counted, or is empty. */
const noise = /^\s*(?:ok \d|\d+\.\.\d+$|# Subtest|# time=|$)/
/** Shown wherever it stands: what did not run is soon forgotten. */
const skipped = /(?:# SKIP|\b1\.\.0 #) /

let isTap = false
let isDiagnosis = false
let file = []

for await (const line of createInterface({ input: process.stdin })) {
  isTap ||= line.startsWith('TAP version')
  // What is known of a whole file (a time-out, a signal) stands between these, behind its verdict.
  isDiagnosis ||= isTap && line === '  ---'
  if (!isTap || isDiagnosis) console.log(line)
  else take(line)
  isDiagnosis &&= line !== '  ...'
}
print(file.filter(line => !noise.test(line)))

function take(line) {
  file.push(line)
  const end = verdict.exec(line)
  if (!end) return
  const isFailed = end[1] !== undefined
  print(file.filter(text => text === line || skipped.test(text) || (isFailed && !noise.test(text))))
  file = []
}

function print(lines) {
  for (const line of lines) console.log(line)
}
