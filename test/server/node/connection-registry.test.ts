import t from 'tap'
import { parseUsername } from '../../../src/protocol/names.ts'
import { ConnectionRegistry, type OpenConnection } from '../../../src/server/node/connection-registry.ts'

const small = { maxConnections: 4, maxConnectionsPerAddress: 2, maxConnectionsPerUser: 1, maxStrangers: 3 }
const [alice, bob] = [parseUsername('alice'), parseUsername('bob')]

/** A connection that removes itself when closed. */
function open(connections: ConnectionRegistry, address: string) {
  const closed: string[] = []
  const connection: OpenConnection = {
    isOutdated: false,
    close: async reason => {
      closed.push(reason)
      connections.remove(connection)
    },
  }
  connections.checkRoom(address)
  connections.add(connection, address)
  return { connection, closed }
}

t.test('an address has a limit of connections, and has room again after one closes', async t => {
  const connections = new ConnectionRegistry(small)
  const { connection } = open(connections, 'a')
  open(connections, 'a')
  t.throws(() => open(connections, 'a'), { code: 'rate_limited', retryAfter: Number })
  open(connections, 'b')
  connections.remove(connection)
  connections.remove(connection)
  open(connections, 'a')
  t.throws(() => open(connections, 'a'), { code: 'rate_limited' })
})

t.test('a node has a limit of connections', async t => {
  const connections = new ConnectionRegistry({ ...small, maxStrangers: 10 })
  for (const address of ['a', 'b', 'c', 'd']) open(connections, address)
  t.throws(() => open(connections, 'e'), { code: 'unavailable', retryAfter: Number })
})

t.test('a user has a limit of connections', async t => {
  const connections = new ConnectionRegistry(small)
  const [first, second] = [open(connections, 'a'), open(connections, 'b')]
  connections.admit(first.connection, alice)
  t.throws(() => connections.admit(second.connection, alice), { code: 'rate_limited', retryAfter: Number })
  connections.admit(second.connection, bob)
  connections.remove(first.connection)
  connections.admit(open(connections, 'a').connection, alice)
})

t.test('the oldest connection without a login is closed first, and logged-in connections stay', async t => {
  const connections = new ConnectionRegistry({ ...small, maxConnections: 100 })
  const first = open(connections, 'a')
  connections.admit(first.connection, alice)
  const strangers = ['b', 'c', 'd', 'e', 'f'].map(address => open(connections, address))
  t.same(first.closed, [])
  t.same(
    strangers.map(({ closed }) => closed),
    [['loginTimeout'], ['loginTimeout'], [], [], []],
  )
  t.equal(connections.size, 4)
})

t.test('a connection that ended during its login counts for no user', async t => {
  const connections = new ConnectionRegistry(small)
  const { connection } = open(connections, 'a')
  connections.remove(connection)
  connections.admit(connection, alice)
  connections.admit(open(connections, 'a').connection, alice)
  t.equal(connections.size, 1)
})
