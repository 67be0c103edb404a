import t from 'tap'
import { limits } from '../../../src/protocol/limits.ts'
import { FrameQueue } from '../../../src/server/socket/frame-queue.ts'
import { type Deferred, defer } from '../../../src/util/deferred.ts'

/**
 * A queue of named frames; names with `s` are pipelined. Records the started frames, and the calls of pause and resume.
 */
function openQueue() {
  const started: string[] = []
  const pending = new Map<string, Deferred<void>>()
  const reading: string[] = []
  const queue = new FrameQueue<string>({
    decode: name => ({
      pipelined: name.startsWith('s'),
      start: () => {
        started.push(name)
        if (name.endsWith('!')) return
        const done = defer<void>()
        pending.set(name, done)
        return done.promise
      },
    }),
    pause: () => reading.push('pause'),
    resume: () => reading.push('resume'),
  })
  const finish = async (name: string) => {
    pending.get(name)?.resolve()
    await new Promise(resolve => setImmediate(resolve))
  }
  return { queue, started, finish, reading }
}

t.test('pipelined frames start without waiting for each other', async t => {
  const { queue, started } = openQueue()
  for (const name of ['s1', 's2', 's3']) queue.push(name)
  t.same(started, ['s1', 's2', 's3'])
})

t.test('any other frame waits for all frames before it, and later frames wait for it', async t => {
  const { queue, started, finish } = openQueue()
  for (const name of ['s1', 's2', 'a', 's3', 'b']) queue.push(name)
  t.same(started, ['s1', 's2'])
  await finish('s2')
  t.same(started, ['s1', 's2'])
  await finish('s1')
  t.same(started, ['s1', 's2', 'a'])
  await finish('a')
  t.same(started, ['s1', 's2', 'a', 's3'])
  await finish('s3')
  t.same(started, ['s1', 's2', 'a', 's3', 'b'])
})

t.test('frames that are done at once delay no other frame', async t => {
  const { queue, started } = openQueue()
  for (const name of ['a!', 's1', 's!', 'b!', 'c!']) queue.push(name)
  t.same(started, ['a!', 's1', 's!'], 'b waits for s1')
})

// Evidence: L6, W22
t.test('reading pauses when too many frames wait, and resumes when half are done', async t => {
  const { queue, finish, reading, started } = openQueue()
  for (let index = 0; index < limits.maxQueuedFrames; index += 1) queue.push(`s${index}`)
  t.same(reading, ['pause'])
  queue.push('s-late')
  t.notOk(started.includes('s-late'), 'further frames of one read wait')
  for (let index = 0; index < limits.maxQueuedFrames / 2; index += 1) await finish(`s${index}`)
  t.same(reading, ['pause'])
  await finish(`s${limits.maxQueuedFrames / 2}`)
  t.same(reading, ['pause', 'resume'])
  t.ok(started.includes('s-late'))
})

t.test('nothing starts after the queue has ended', async t => {
  const { queue, started, finish } = openQueue()
  for (const name of ['a', 'b']) queue.push(name)
  queue.end()
  queue.push('c')
  await finish('a')
  t.same(started, ['a'])
})
