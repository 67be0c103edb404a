import t from 'tap'
import { limits } from '../../../src/protocol/limits.ts'
import { openAgentAt, receiveSome, registerAgent, temporaryDirectory, textsOf } from '../../../tools/clients/agents.ts'
import { newUser, RawClient } from '../../../tools/clients/raw-client.ts'
import { askUpgrade, headerOf, problemIn, statusOf } from '../../../tools/clients/raw-http.ts'
import { type RunningNode, startTestNode } from '../../../tools/servers/running-node.ts'

type Owner = Parameters<typeof startTestNode>[0]

const one: Record<string, string> = { 'X-Forwarded-For': '192.0.2.1' }
const other: Record<string, string> = { 'X-Forwarded-For': '192.0.2.2' }

/** The node admits ten sockets per second. */
const startSlowNode = (t: Owner) =>
  startTestNode(t, { UPGRADES_PER_S: '10', TRUST_PROXY: '127.0.0.1', METRICS_PORT: '0' })

const room = limits.upgradesBurst + (10 * limits.maxUpgradeWaitMs) / 1_000

function openClients(t: Owner, { wsUrl }: RunningNode, count: number, headers: Record<string, string>): RawClient[] {
  const clients = Array.from({ length: count }, () => new RawClient(wsUrl, { headers }))
  for (const { socket } of clients) socket.on('error', () => {})
  t.teardown(() => {
    for (const { socket } of clients) socket.terminate()
  })
  return clients
}

/**
 * The most upgrades from one address that are admitted at once or may wait, plus some more. The address stays full for
 * a while, however slowly the upgrades arrive.
 */
async function crowd(t: Owner, node: RunningNode, { more = 15, headers = one } = {}) {
  const clients = openClients(t, node, room + more, headers)
  while ((await metric(node, 'upgrades_waiting')) < room - limits.upgradesBurst - 5) await turn()
  return clients
}

const turn = (ms = 10) => new Promise(resolve => setTimeout(resolve, ms))

async function metric({ metricsUrl }: RunningNode, name: string): Promise<number> {
  const text = await (await fetch(metricsUrl ?? '')).text()
  return Number(new RegExp(`^aimessage_${name} (\\d+)$`, 'm').exec(text)?.[1])
}

t.test('an upgrade above the limit of its address gets a time to retry', async t => {
  const node = await startSlowNode(t)
  const clients = await crowd(t, node)
  const answers = await Promise.all(Array.from({ length: 40 }, () => askUpgrade(node.url, one)))
  const refused = answers.filter(answer => statusOf(answer) === 503)
  t.ok(refused.length >= 30)
  t.equal(answers.filter(answer => statusOf(answer) === 101).length, answers.length - refused.length)
  for (const answer of refused) {
    const retryAfter = Number(headerOf(answer, 'retry-after'))
    t.ok(retryAfter >= 3 && retryAfter <= 9, 'after the waiting upgrades, one after the other')
    t.match(problemIn(answer), { code: 'unavailable', retryAfter })
  }
  t.ok((await metric(node, 'upgrades_put_off_total')) >= refused.length)
  for (const { socket } of clients) socket.terminate()
})

t.test('another address is admitted before the many of one', async t => {
  const node = await startSlowNode(t)
  await crowd(t, node)
  t.equal(statusOf(await askUpgrade(node.url, other)), 101)
  t.ok((await metric(node, 'upgrades_waiting')) > 0)
})

t.test('the client retries at the given time', async t => {
  const node = await startSlowNode(t)
  const directory = await temporaryDirectory(t)
  const alice = await registerAgent(t, node.wsUrl, 'alice')
  const bob = await openAgentAt(t, node.wsUrl, directory)
  await bob.register('bob')
  await bob.close()
  await alice.send('bob', 'are you there?')
  const clients = await crowd(t, node, { headers: {} })
  const again = await openAgentAt(t, node.wsUrl, directory)
  const waits: number[] = []
  again.on('reconnecting', ({ waitMs }) => waits.push(waitMs))
  const receiving = receiveSome(again, 1)
  // There is no room when it arrives, however slow the machine is.
  while (waits.length === 0) {
    clients.push(...openClients(t, node, 5, {}))
    await turn()
  }
  t.same(textsOf(await receiving), ['are you there?'])
  for (const waitMs of waits) t.ok(waitMs >= 3_000 && waitMs < 11_000, String(waitMs))
  for (const { socket } of clients) socket.terminate()
})

t.test('many admitted sockets that log in at once wait for admission too', async t => {
  const node = await startSlowNode(t)
  const areIn = (clients: RawClient[]) =>
    Promise.all(clients.map(client => client.find(({ type }) => type === 'challenge')))
  const clients = openClients(t, node, room, one)
  await areIn(clients)
  const tooMany = openClients(t, node, 15, one)
  await areIn(tooMany)
  const logins = Promise.all([...clients, ...tooMany].map(client => client.register(newUser())))
  while ((await metric(node, 'logins_waiting')) === 0) await turn()
  const refusals = (await logins).filter(({ type }) => type === 'error')
  t.ok(refusals.length > 0 && refusals.length <= tooMany.length)
  for (const refusal of refusals) t.match(refusal, { code: 'unavailable', retryAfter: Number })
})

t.test('a socket that closes while it waits takes no place in the queue', async t => {
  const node = await startSlowNode(t)
  const clients = await crowd(t, node)
  for (const { socket } of clients.slice(limits.upgradesBurst)) socket.terminate()
  while ((await metric(node, 'upgrades_waiting')) > 0) await turn()
  t.equal(statusOf(await askUpgrade(node.url, one)), 101)
  t.ok((await metric(node, 'connections')) <= limits.upgradesBurst + 10)
})

t.test('a waiting upgrade is refused when the node shuts down', async t => {
  const node = await startSlowNode(t)
  await crowd(t, node)
  // There is room again, with two seconds of other upgrades before it.
  while ((await metric(node, 'upgrades_waiting')) > 20) await turn()
  const waiting = askUpgrade(node.url, one)
  await turn(100)
  await node.close()
  const answer = await waiting
  t.equal(statusOf(answer), 503)
  t.match(problemIn(answer), { code: 'unavailable', detail: 'the node is shutting down' })
})

t.test('a socket that is admitted while the node is full is refused', async t => {
  const node = await startTestNode(t, { MAX_CONNECTIONS: '50' })
  const clients = openClients(t, node, 60, {})
  const outcomes = await Promise.all(
    clients.map(client =>
      Promise.race([
        client.find(({ type }) => type === 'challenge').then(() => 'in'),
        client.closed.then(() => 'refused'),
      ]),
    ),
  )
  t.equal(outcomes.filter(outcome => outcome === 'in').length, 50)
})
