import t from 'tap'
import { addressKey } from '../../../src/server/base/address-key.ts'
import { readConfig } from '../../../src/server/base/config.ts'
import { ConnectionRegistry } from '../../../src/server/node/connection-registry.ts'
import { LocalRates } from '../../../src/server/rate-limits/local-rates.ts'
import { UserRates } from '../../../src/server/rate-limits/user-rates.ts'
import { openTestStore } from '../../../tools/servers/running-node.ts'
import { ManualClock } from '../../fixtures/manual-clock.ts'

/** The first address of each of many /64 networks: 256 to a /56, in one /48. */
const networks = Array.from({ length: 1_024 }, (_none, at) => addressKey(`2001:db8:1:${at.toString(16)}::1`))
const elsewhere = addressKey('2001:db8:2::1')

const manualClock = () => Object.assign(new ManualClock(), { now: Date.now })

/** Uses each network in turn, again and again, and returns how often it went well until nothing did for a round. */
async function used(keys: readonly string[], use: (key: string) => unknown): Promise<number> {
  let [total, before] = [0, -1]
  while (total !== before) {
    before = total
    for (const key of keys) {
      try {
        await use(key)
        total += 1
      } catch {
        // Over a limit.
      }
    }
  }
  return total
}

t.test('17.14 a /56 and a /48 together get four and sixteen times the rate of a network', async t => {
  const rates = () => new LocalRates({ perSecond: 1, burst: 10 }, manualClock())
  const ofOne = rates()
  t.equal(await used(networks.slice(0, 1), key => ofOne.spend(key)), 10)
  const of56 = rates()
  t.equal(await used(networks.slice(0, 256), key => of56.spend(key)), 40)
  const of48 = rates()
  t.equal(await used(networks, key => of48.spend(key)), 160)
  of48.spend(elsewhere)
})

t.test('17.14 the same holds for registrations, over all nodes', async t => {
  const config = readConfig({ REGISTRATIONS_PER_HOUR: '3' })
  const store = openTestStore()
  const rates = () => new UserRates(config, store.buckets, manualClock())
  const [a, b] = [rates(), rates()]
  let turn = 0
  const use = (key: string) => (turn++ % 2 ? a : b).spendRegistration(key)
  t.equal(await used(networks.slice(0, 256), use), 12)
  t.equal(await used(networks, use), 48 - 12)
  await use(elsewhere)
})

t.test('17.14 the same holds for open connections', async t => {
  const registry = new ConnectionRegistry(readConfig({ MAX_CONNECTIONS_PER_ADDRESS: '2', MAX_CONNECTIONS: '9999' }))
  const open = (key: string) => {
    registry.checkRoom(key)
    const connection = { close: async () => {}, isOutdated: false }
    registry.add(connection, key)
    return connection
  }
  t.equal(await used(networks.slice(0, 256), open), 8)
  t.equal(await used(networks, open), 24)
  const other = open(elsewhere)
  registry.remove(other)
})
