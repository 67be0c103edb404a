import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { SqliteConnection } from '../../../../src/client/state/directory/sqlite-connection.ts'
import { prepareDirectory } from '../../../../src/client/state/directory/state-directory.ts'
import { WriteTurn } from '../../../../src/client/state/directory/write-turn.ts'

t.test('a process that writes without a pause yields to one that waits', async t => {
  const directory = await prepareDirectory(t.testdir(), 1)
  const open = () => new SqliteConnection(directory.database)
  const [greedyConnection, patientConnection] = [open(), open()]
  const greedy = new WriteTurn(greedyConnection, directory, 10_000)
  const patient = new WriteTurn(patientConnection, directory, 10_000)

  await greedy.take()
  let served = false
  const waiting = patient.take().then(() => {
    served = true
    patientConnection.commit()
  })
  // The timers of the waiting process run only while the writer holds the lock or yields.
  let turns = 0
  while (!served && turns++ < 20_000) {
    await nextTurn()
    greedyConnection.commit()
    await greedy.take()
  }
  t.ok(served, `served after ${turns} turns of the other`)
  greedyConnection.commit()
  await waiting
  greedyConnection.close()
  patientConnection.close()
})
