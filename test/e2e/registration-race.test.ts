import t from 'tap'
import { openAgent } from '../fixtures/agents.ts'
import { startDeployment } from '../fixtures/deployment.ts'
import { identityText, newName, newUser, RawClient } from '../fixtures/raw-client.ts'

const contenders = 1_000

t.test('of 1 000 that register one name over two nodes at once, one key wins', async t => {
  const { nodes, redis } = await startDeployment(t, { nodes: 2, env: { REGISTRATIONS_PER_HOUR: '10000' } })
  const username = newName('wanted')
  const users = Array.from({ length: contenders }, () => newUser(username))
  const clients = await Promise.all(
    users.map((_user, at) => RawClient.connect(t, nodes[at % nodes.length]?.wsUrl ?? '')),
  )
  const answers = await Promise.all(clients.map((client, at) => client.register(users[at] ?? newUser())))
  const codes = answers.map(answer => (answer.type === 'error' ? answer.code : answer.type))
  const winners = users.filter((_user, at) => codes[at] === 'authenticated')
  t.equal(winners.length, 1)
  t.equal(codes.filter(code => code === 'username_taken').length, contenders - 1)
  const [winner] = winners
  t.equal(await redis.cli('HGET', `aim:{${username}}:user`, 'identity'), winner && identityText(winner.identity))

  t.test('and the winner alone logs in, at either node', async t => {
    for (const { wsUrl } of nodes) {
      if (winner) t.match(await (await RawClient.connect(t, wsUrl)).authenticate(winner), { type: 'authenticated' })
      const loser = users.find(user => user !== winner)
      if (loser) t.match(await (await RawClient.connect(t, wsUrl)).authenticate(loser), { code: 'unauthorized' })
    }
  })

  t.test('a client is told that the name is taken, and may take another', async t => {
    const late = await openAgent(t, nodes[0]?.wsUrl ?? '')
    await t.rejects(late.register(username), { code: 'username_taken' })
    t.match(await late.register(newName()), { username: /^agent-/ })
  })
})
