import { hostileMarker } from './hostile.ts'

/** What a terminal would interpret. Line ends are the program's own. */
const unsafe = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u
/** Traces of an error that nobody handled. */
const crash = /Unhandled|Uncaught|^\s+at .+:\d+:\d+\)?$/m
/** How a text for people quotes what a server said. */
const quote = "the server's own words: "

/** Returns what is wrong with the output of a process that was lied to. */
export function outputFaults({ stdout, stderr }: { stdout: string; stderr: string }): string[] {
  const faults: string[] = []
  for (const [name, text] of Object.entries({ stdout, stderr })) {
    const at = text.search(unsafe)
    if (at >= 0) faults.push(`${name} contains a control character: ${JSON.stringify(text.slice(at - 40, at + 40))}`)
    if (crash.test(text)) faults.push(`${name} contains a stack trace: ${text.slice(0, 2_000)}`)
  }
  for (const line of stderr.split('\n')) if (speaksForNode(line)) faults.push(`the words of the node: ${line}`)
  return faults
}

/** Returns true if a line of an event or a failure has the node's words as its own. */
function speaksForNode(line: string): boolean {
  if (!line.includes(hostileMarker)) return false
  const value = parsed(line)
  if (value === undefined) return line.indexOf(quote) < 0 || line.indexOf(quote) > line.indexOf(hostileMarker)
  return JSON.stringify(withoutData(value)).includes(hostileMarker)
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** Fields that are marked as the words of a stranger. The event `generation` has the names that the node gives. */
const dataFields = new Set(['serverSaid', 'instance'])
const isData = (name: string, event: unknown): boolean =>
  dataFields.has(name) || (event === 'generation' && (name === 'from' || name === 'to'))

function withoutData(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const event = 'event' in value ? value.event : undefined
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, each]) => (isData(name, event) ? [] : [[name, withoutData(each)]])),
  )
}
