import { randomUUID } from 'node:crypto'
import t from 'tap'
import {
  inboxKey,
  keysKey,
  loginsKey,
  metaKey,
  oneTimeKeysKey,
  seenKeys,
  shareKey,
  userKey,
} from '../../../../src/server/store/redis/connection/keys.ts'
import { openRedisStore } from '../../../../src/server/store/redis/redis-store.ts'
import { startRedis } from '../../../../tools/servers/redis.ts'
import { alice, append, bob, claimed, contractOptions, item, readAll, register, socket } from '../contract/world.ts'

const keys: Record<string, string> = {
  meta: metaKey(alice),
  inbox: inboxKey(alice),
  share: shareKey(alice),
  'seen:0': seenKeys(alice)[0],
  'seen:1': seenKeys(alice)[1],
  user: userKey(alice),
  keys: keysKey(alice),
  otk: oneTimeKeysKey(alice),
  sessions: loginsKey(alice),
}

for (const [name, key] of Object.entries(keys)) {
  // Evidence: R13
  t.test(`R13: if only ${name} is lost, sequence numbers still increase, and mail is still delivered`, async t => {
    const redis = await startRedis(t)
    const store = await openRedisStore({ ...contractOptions, nodeId: randomUUID() }, { url: redis.url })
    t.teardown(() => store.close())
    await register(store, alice, bob)
    const before = await append(store, ...['m1', 'm2', 'm3'].map(id => item(id)))
    await redis.cli('DEL', key)
    await register(store, alice)
    const after = await append(store, item('m4'))
    t.ok(Math.min(...after) > Math.max(...before))
    const claim = await claimed(store, alice, socket('c1'))
    const envelopes = await readAll(store, claim)
    t.equal(envelopes.at(-1)?.id, 'm4')
    t.equal(await store.inboxes.ack(claim, Math.max(...after)), 'acked')
    t.same(await readAll(store, claim), [])
    t.ok((await store.inboxes.countQueued(alice)) >= 0)
  })
}
