import t, { type Test } from 'tap'
import { closeCodes } from '../../src/protocol/errors.ts'
import type { ServerFrame } from '../../src/protocol/frames.ts'
import { openAgent } from '../../tools/clients/agents.ts'
import { identityText, newName, newUser, RawClient, type User } from '../../tools/clients/raw-client.ts'
import { startDeployment } from '../../tools/servers/deployment.ts'

const contenders = 1_000

/** On a slow machine a thousand signatures take longer than a node waits for a login: late clients try again. */
async function register(t: Test, url: string, user: User): Promise<ServerFrame> {
  const client = await RawClient.connect(t, url)
  try {
    return await client.register(user)
  } catch (error) {
    if ((await client.closed).code !== closeCodes.loginTimeout.code) throw error
    return register(t, url, user)
  }
}

// Evidence: S1, A6
t.test('of 1 000 keys that register one name over two nodes at once, one key wins', async t => {
  const { nodes, redis } = await startDeployment(t, { nodes: 2, env: { REGISTRATIONS_PER_HOUR: '10000' } })
  const username = newName('wanted')
  const users = Array.from({ length: contenders }, () => newUser(username))
  const answers = await Promise.all(users.map((user, at) => register(t, nodes[at % nodes.length]?.wsUrl ?? '', user)))
  const codes = answers.map(answer => (answer.type === 'error' ? answer.code : answer.type))
  const winners = users.filter((_user, at) => codes[at] === 'authenticated')
  t.equal(winners.length, 1)
  t.equal(codes.filter(code => code === 'username_taken').length, contenders - 1)
  const [winner] = winners
  t.equal(await redis.cli('HGET', `aim:{${username}}:user`, 'identity'), winner && identityText(winner.identity))

  t.test('only the winner can log in, at either node', async t => {
    for (const { wsUrl } of nodes) {
      if (winner) t.match(await (await RawClient.connect(t, wsUrl)).authenticate(winner), { type: 'authenticated' })
      const loser = users.find(user => user !== winner)
      if (loser) t.match(await (await RawClient.connect(t, wsUrl)).authenticate(loser), { code: 'unauthorized' })
    }
  })

  t.test('a client gets `username_taken`, and may register another name', async t => {
    const late = await openAgent(t, nodes[0]?.wsUrl ?? '')
    await t.rejects(late.register(username), { code: 'username_taken' })
    t.match(await late.register(newName()), { username: /^agent-/ })
  })
})
