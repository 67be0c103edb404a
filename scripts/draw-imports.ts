/**
 * Draws the folders of src and their imports, types included, into docs/ARCHITECTURE.md. An arrow leads from a folder
 * to one that it imports; an arrow that follows from other arrows is left out.
 *
 *     npm run generate
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { importsOf, sourceFiles } from '../tools/source-imports.ts'

const page = new URL('../docs/ARCHITECTURE.md', import.meta.url)
const begin = '<!-- imports: begin (npm run generate) -->'
const end = '<!-- imports: end -->'

/** Folders that the picture shows as one box, their subfolders included. */
const whole = ['util', 'protocol', 'crypto', 'client/state', 'server/http', 'server/store/redis', 'mcp', 'cli']
/** Folders that the picture frames. */
const frames = ['client', 'server']

type Graph = Map<string, Set<string>>

/** The box of a file, as a path below src. */
function boxOf(file: string): string {
  const folder = file.slice('src/'.length, file.lastIndexOf('/'))
  return whole.find(name => folder === name || folder.startsWith(`${name}/`)) ?? folder
}

function readGraph(): Graph {
  const graph: Graph = new Map()
  for (const file of sourceFiles('src')) {
    const from = boxOf(file)
    const targets = graph.get(from) ?? new Set()
    graph.set(from, targets)
    for (const { to, isPackage } of importsOf(file)) if (!isPackage && boxOf(to) !== from) targets.add(boxOf(to))
  }
  return graph
}

/** Returns true if a path of two arrows or more leads from one box to the other. */
function isImplied(graph: Graph, from: string, to: string): boolean {
  const queue = [...(graph.get(from) ?? [])].filter(next => next !== to)
  const seen = new Set([from, ...queue])
  for (let box = queue.pop(); box !== undefined; box = queue.pop()) {
    for (const next of graph.get(box) ?? []) {
      if (next === to) return true
      if (!seen.has(next)) queue.push(next)
      seen.add(next)
    }
  }
  return false
}

const idOf = (box: string): string => box.replaceAll(/[/-]/g, '_')
const frameOf = (box: string): string | undefined => frames.find(name => box === name || box.startsWith(`${name}/`))

function boxLine(box: string): string {
  const frame = frameOf(box)
  return `${idOf(box)}_["${box === frame ? `${box}/*.ts` : box.slice(frame ? frame.length + 1 : 0)}"]`
}

/** The picture as a Mermaid flowchart. */
export function drawImports(): string {
  const graph = readGraph()
  const boxes = [...graph.keys()].sort()
  const lines = ['flowchart TD']
  for (const frame of frames) {
    lines.push(`  subgraph ${frame}`)
    for (const box of boxes) if (frameOf(box) === frame) lines.push(`    ${boxLine(box)}`)
    lines.push('  end')
  }
  for (const box of boxes) if (!frameOf(box)) lines.push(`  ${boxLine(box)}`)
  for (const from of boxes)
    for (const to of [...(graph.get(from) ?? [])].sort())
      if (!isImplied(graph, from, to)) lines.push(`  ${idOf(from)}_ --> ${idOf(to)}_`)
  return ['```mermaid', ...lines, '```'].join('\n')
}

/** docs/ARCHITECTURE.md as it should be now. */
export function withPicture(text: string): string {
  const [before, rest] = text.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined) throw new Error(`docs/ARCHITECTURE.md lacks ${begin} or ${end}`)
  return `${before}${begin}\n\n${drawImports()}\n\n${end}${after}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(page, withPicture(readFileSync(page, 'utf8')))
