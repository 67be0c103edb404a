import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { LineReader, LineWriter } from '../../chaos/history/json-lines.ts'
import { temporaryDirectory } from '../../tools/clients/agents.ts'

t.test('lines are read while they are written, and an incomplete line is kept back', async t => {
  const path = join(await temporaryDirectory(t), 'lines.jsonl')
  const writer = new LineWriter<{ text: string }>(path)
  const reader = new LineReader<{ text: string }>(path)
  t.same(reader.next(), [])
  writer.write({ text: 'grüß' })
  t.same(reader.next(), [{ text: 'grüß' }])
  writer.close()
  appendFileSync(path, '{"text":"ha')
  t.same(reader.next(), [])
  appendFileSync(path, 'lf"}\n{"text":"next"}\n')
  t.same(reader.next(), [{ text: 'half' }, { text: 'next' }])
})
