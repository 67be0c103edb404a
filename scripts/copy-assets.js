// What the compiler leaves behind: files of src/ that are no TypeScript (Lua scripts), at the same place in dist/.
import { cpSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const [target = join(root, 'dist')] = process.argv.slice(2)
const source = join(root, 'src')

for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || entry.name.endsWith('.ts')) continue
  const path = join(entry.parentPath, entry.name)
  cpSync(path, join(target, path.slice(source.length)))
}
