import t from 'tap'
import { drawMessage, messageJson } from '../../../src/cli/text/message-text.ts'
import { parseUsername } from '../../../src/protocol/names.ts'

const refusal = {
  id: 'A'.repeat(22),
  from: parseUsername('bob'),
  verified: 'first-use' as const,
  body: new Uint8Array(),
  text: '',
  sentAt: 0,
  kind: 'reply' as const,
  re: 'B'.repeat(22),
  error: { code: 'busy', message: 'ask\u001b[2J later' },
}
const plain = Object.assign((text: string) => text, { bold: String, cyan: String, dim: String })

t.test('18.5 a refusal that comes late shows its code, and not an empty message', async t => {
  t.match(messageJson(refusal), { kind: 'reply', re: refusal.re, error: refusal.error })
  const [, line] = drawMessage(refusal, plain as never, undefined)
  t.match(line, /refused \(busy\), in its own words: ".*x1b\[2J later"/)
})
