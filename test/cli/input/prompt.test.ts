import { PassThrough } from 'node:stream'
import t from 'tap'
import { promptLine, promptSecret } from '../../../src/cli/input/prompt.ts'

const terminal = () => ({ input: new PassThrough(), output: new PassThrough({ encoding: 'utf8' }) })

t.test('the prompt for a secret shows none of its characters', async t => {
  const { input, output } = terminal()
  const asked = promptSecret('passphrase: ', new AbortController().signal, { input, output })
  input.write('correct horsf\x7fe\r')
  t.equal(await asked, 'correct horse')
  t.equal(output.read(), 'passphrase: \n')
})

t.test('an interrupt ends the prompt', async t => {
  const { input, output } = terminal()
  const ending = new AbortController()
  const asked = promptSecret('passphrase: ', ending.signal, { input, output })
  ending.abort()
  await t.rejects(asked, { name: 'AbortError' })
})

t.test('17.23 the prompt for a decision returns the typed line', async t => {
  const { input, output } = terminal()
  const asked = promptLine('Send them? ', new AbortController().signal, { input, output })
  input.write('drop\r')
  t.equal(await asked, 'drop')
  t.match(output.read(), /Send them\? /)
})
