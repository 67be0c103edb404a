import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findLeaks } from '../../chaos/checker/leaks.ts'
import { temporaryDirectory } from '../../tools/clients/agents.ts'

const canary = 'canary-1k2j3h4-zz9x8y7'

t.test('a canary is found in plain form, in hex, and in base64 at any alignment', async t => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'file')
  const inside = (before: string) => Buffer.from(`${before}${canary} and more`)
  const contents = [
    inside('text ').toString(),
    inside('text ').toString('hex'),
    ...['', 'a', 'ab', 'abc', 'abcd'].flatMap(before => [
      inside(before).toString('base64'),
      inside(before).toString('base64url'),
    ]),
  ]
  for (const content of contents) {
    writeFileSync(path, content)
    t.same(findLeaks([directory], canary), [path], content)
  }
  writeFileSync(path, 'canary of another run')
  t.same(findLeaks([path], canary), [])
})
