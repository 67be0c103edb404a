import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../../src/protocol/limits.ts'
import { PushWindow } from '../../../src/server/delivery/push-window.ts'

t.test('the window has a limit of envelopes', async t => {
  const window = new PushWindow()
  for (let seq = 1; seq <= limits.maxUnacked; seq += 1) {
    t.ok(window.fits(1))
    window.push(seq, 1)
  }
  t.notOk(window.fits(1))
  t.ok(window.ack(1))
  t.ok(window.fits(1))
  t.equal(window.lastPushed, limits.maxUnacked)
})

t.test('the window has a limit of bytes, but holds one envelope of any size', async t => {
  const window = new PushWindow()
  t.ok(window.fits(limits.maxUnackedBytes + 1))
  window.push(1, limits.maxUnackedBytes - 10)
  t.ok(window.fits(10))
  t.notOk(window.fits(11))
})

t.test('an old acknowledgement changes nothing', async t => {
  const window = new PushWindow()
  window.push(10, 5)
  window.push(20, 5)
  t.ok(window.ack(20))
  t.notOk(window.ack(10))
  t.notOk(window.ack(20))
  t.equal(window.lastAcked, 20)
  t.equal(window.size, 0)
})

t.test('the window counts like a plain list', async t => {
  fc.assert(
    fc.property(fc.array(fc.record({ bytes: fc.nat(1_000), ack: fc.nat(40) }), { maxLength: 200 }), steps => {
      const window = new PushWindow()
      let model: { seq: number; bytes: number }[] = []
      for (const [index, { bytes, ack }] of steps.entries()) {
        window.push(index + 1, bytes)
        model.push({ seq: index + 1, bytes })
        window.ack(index + 1 - ack)
        model = model.filter(({ seq }) => seq > window.lastAcked)
        const bytesLeft = limits.maxUnackedBytes - model.reduce((sum, entry) => sum + entry.bytes, 0)
        if (window.size !== model.length || window.room.maxBytes !== bytesLeft) return false
      }
      return true
    }),
  )
  t.pass()
})
