import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import { type Store, StoreUnavailableError } from '../../../../src/server/store/store.ts'
import { freePort } from '../../../../tools/servers/redis.ts'
import { startWatched } from '../../../../tools/servers/sentinel.ts'
import {
  alice,
  bob,
  claimed,
  contractOptions,
  idsOf,
  Notices,
  readAll,
  register,
  socket,
  until,
} from '../contract/world.ts'
import { readyAgain, sendAll } from './sender.ts'

async function openNode(t: Test, url: string): Promise<Store> {
  const store = await openRedisStore({ ...contractOptions, nodeId: randomUUID() }, { url, durability: 'strict' })
  t.teardown(() => store.close())
  return store
}

// Evidence: R4
t.test(
  'R4: when the primary is killed, strict nodes continue with a replica within 5 s and lose no accepted message',
  async t => {
    const { url, primary, replicas } = await startWatched(t, { replicas: 2 })
    await until(
      async () => /state=online.*state=online/s.test(String(await primary.cli('INFO', 'replication'))),
      'the replicas are connected',
    )
    const [a, b] = [await openNode(t, url), await openNode(t, url)]
    await register(a, alice, bob)
    const generation = a.generation()
    const ids = Array.from({ length: 200 }, (_, at) => `m${at}`)
    const sending = sendAll(a, ids)
    await until(async () => Number(await primary.cli('XLEN', 'aim:{alice}:inbox')) > 20, 'some are accepted')

    await primary.kill('SIGKILL')
    const silenceMs = await sending
    t.comment(`longest time without an acceptance ${Math.round(silenceMs)} ms`)
    t.ok(silenceMs < 5_000)

    await Promise.all([a, b].map(readyAgain))
    const notices = new Notices(b)
    const claim = await claimed(b, alice, socket('c1'))
    t.same(idsOf(await readAll(b, claim)), ids)
    t.not(a.generation(), generation, 'clients learn that Redis may have lost writes')
    let more = 0
    const isHeard = async () => {
      await sendAll(a, [`after${more++}`])
      return notices.of('appended').length > 0
    }
    await until(isHeard, 'notices arrive through the new primary')
    const roles = await Promise.all(replicas.map(async ({ cli }) => String(await cli('INFO', 'replication'))))
    t.equal(roles.filter(role => role.includes('role:master')).length, 1)
  },
)

t.test('a node does not start if no Sentinel can be reached', async t => {
  const url = `redis+sentinel://127.0.0.1:${await freePort()}/aimessage`
  await t.rejects(openNode(t, url), StoreUnavailableError)
})
