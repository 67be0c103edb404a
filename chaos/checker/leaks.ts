import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Returns the files below these paths that contain a text in plain, hex or base64 form. */
export function findLeaks(places: readonly string[], canary: string): string[] {
  const bytes = Buffer.from(canary)
  const spellings = [canary, bytes.toString('hex'), ...base64Cores(bytes)]
  return places.flatMap(filesBelow).filter(path => {
    const content = readFileSync(path, 'latin1')
    return spellings.some(spelling => content.includes(spelling))
  })
}

/** Returns the part of its base64 form that is independent of the text before it, for each alignment and alphabet. */
function base64Cores(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap(before => {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    const core = text.slice(before === 0 ? 0 : before + 1, -2)
    return [core, core.replaceAll('+', '-').replaceAll('/', '_')]
  })
}

function filesBelow(place: string): string[] {
  if (statSync(place).isFile()) return [place]
  return readdirSync(place, { withFileTypes: true }).flatMap(entry => {
    if (entry.isDirectory()) return filesBelow(join(place, entry.name))
    return entry.isFile() ? [join(place, entry.name)] : []
  })
}
