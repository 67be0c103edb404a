import t from 'tap'
import { toA2aCard } from '../../../src/cli/text/a2a-card.ts'
import type { AgentCard } from '../../../src/client/node.ts'
import { parseUsername } from '../../../src/protocol/names.ts'

const card: AgentCard = {
  username: parseUsername('alice'),
  title: 'Translator',
  description: 'German and English',
  version: '1.2.0',
  capabilities: ['translate', 'de'],
  acceptsRequests: true,
  verified: 'verified',
  identity: 'I'.repeat(43),
  signed: 'S'.repeat(300),
}
const at = { address: 'alice@localhost', url: 'wss://example.org' }

/** Required members of `AgentCard` and its parts in A2A 1.0 (specification/a2a.proto, JSON names). */
const required = [
  'name',
  'description',
  'supportedInterfaces',
  'version',
  'capabilities',
  'defaultInputModes',
  'defaultOutputModes',
  'skills',
]

t.test('the export has exactly the members that A2A 1.0 requires', async t => {
  const exported = toA2aCard(card, at)
  t.same(Object.keys(exported).sort(), [...required].sort())
  t.match(exported, {
    name: 'Translator',
    description: 'German and English',
    version: '1.2.0',
    supportedInterfaces: [
      { url: 'wss://example.org', protocolBinding: 'aimessage.v1', tenant: 'alice@localhost', protocolVersion: '1.0' },
    ],
    capabilities: { streaming: false, pushNotifications: false, extendedAgentCard: false },
    defaultInputModes: ['text/plain', 'application/json'],
    skills: [
      { id: 'translate', name: 'translate', description: 'German and English', tags: ['translate'] },
      { id: 'de' },
    ],
  })
  t.match(exported, {
    capabilities: {
      extensions: [{ uri: String, required: false, params: { card: card.signed, identity: card.identity } }],
    },
  })
})

t.test('a member that A2A requires and the card lacks has a default', async t => {
  const { description: _none, version: _neither, ...small } = card
  t.match(toA2aCard({ ...small, capabilities: [] }, at), {
    description: 'Translator',
    version: '0',
    skills: [{ id: 'message', tags: [] }],
  })
})
