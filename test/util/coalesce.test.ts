import t from 'tap'
import { coalesce } from '../../src/util/coalesce.ts'
import { type Deferred, defer } from '../../src/util/deferred.ts'

/** A coalesced function whose runs are ended by the test. */
function manualRuns() {
  const runs: Deferred<void>[] = []
  const started = defer<void>()
  const request = coalesce(() => {
    const run = defer<void>()
    runs.push(run)
    started.resolve()
    return run.promise
  })
  return { runs, request, started: started.promise }
}

const microtasks = async () => {
  for (let turn = 0; turn < 10; turn += 1) await null
}

t.test('any number of calls during a run lead to one more run', async t => {
  const { runs, request, started } = manualRuns()
  const first = request()
  await started
  const later = [request(), request(), request()]
  await microtasks()
  t.equal(runs.length, 1, 'one run at a time')
  runs[0]?.resolve()
  await microtasks()
  t.equal(runs.length, 2)
  runs[1]?.resolve()
  await Promise.all([first, ...later])
  t.equal(runs.length, 2)
})

t.test('calls before a run has started are served by that run', async t => {
  let runs = 0
  const request = coalesce(async () => {
    runs += 1
  })
  await Promise.all([request(), request()])
  t.equal(runs, 1)
})

t.test('a call at any microtask around the end of a run is followed by a run', async t => {
  for (let turns = 0; turns < 12; turns += 1) {
    const begun: number[] = []
    let asked = 0
    const request = coalesce(async () => {
      begun.push(asked)
      await null
      await null
    })
    const first = request()
    for (let turn = 0; turn < turns; turn += 1) await null
    asked = 1
    await Promise.all([first, request()])
    t.equal(begun.at(-1), 1, `after ${turns} microtasks`)
  }
})

t.test('a call that a run has taken into account by starting over leads to no further run', async t => {
  let runs = 0
  const request = coalesce(async startOver => {
    runs += 1
    void request()
    startOver()
  })
  await request()
  t.equal(runs, 1)
})

t.test('a run that asks for another run gets it', async t => {
  let runs = 0
  const request = coalesce(async () => {
    runs += 1
    if (runs < 3) void request()
  })
  await request()
  t.equal(runs, 3)
})

t.test('callers get the error of a run, and the next call starts a new run', async t => {
  let runs = 0
  const request = coalesce(() => {
    runs += 1
    if (runs === 1) throw new Error('broken')
    return Promise.resolve()
  })
  await t.rejects(request(), { message: 'broken' })
  await request()
  t.equal(runs, 2)
})
