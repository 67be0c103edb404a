import { readFileSync } from 'node:fs'
import t from 'tap'
import { exportCost, openingCost } from '../../../src/client/state/encryption/derivation.ts'
import { retryable } from '../../../src/client/state/state-error.ts'

const page = readFileSync(new URL('../../../docs/STATE.md', import.meta.url), 'utf8')
const section = (heading: string): string => (page.split(`\n## ${heading}\n`)[1] ?? '').split('\n## ')[0] ?? ''

t.test('the table of errors in the document matches the code', async t => {
  const rows = section('Errors').matchAll(/^\| ((?:`\w+`(?:, )?)+) \| (yes|no) \|/gm)
  const listed = [...rows].flatMap(([, codes = '', retry]) =>
    [...codes.matchAll(/`(\w+)`/g)].map(([, code = '']) => [code, retry === 'yes']),
  )
  t.same(Object.fromEntries(listed), retryable)
})

t.test('the document states the cost of guessing a passphrase', async t => {
  const stated = ({ memoryKib, passes, lanes }: typeof openingCost) =>
    `${memoryKib / 1_024} MiB, ${passes} passes, ${lanes} lane`
  t.ok(section('Encryption at rest').includes(stated(openingCost)))
  t.ok(section('Export and import').includes(stated(exportCost)))
})
