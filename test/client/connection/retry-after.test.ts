import t from 'tap'
import type { ClientEvents } from '../../../src/client/base/events.ts'
import { retryAfterMs } from '../../../src/client/base/retry-after.ts'
import { dialNode } from '../../../src/client/connection/dial-node.ts'
import { ReconnectingLink } from '../../../src/client/connection/reconnecting-link.ts'
import { ProtocolError } from '../../../src/protocol/errors.ts'
import { Emitter } from '../../../src/util/emitter.ts'
import { startBusyServer } from '../../fixtures/servers/busy-server.ts'

/**
 * Returns how long a client waits after an upgrade was answered with 503 and this header, ms, and the error it reports.
 */
async function waitAfter(header: string): Promise<{ waitMs: number; error: Error }> {
  const events = new Emitter<ClientEvents>()
  const told = new Promise<{ waitMs: number; error: Error }>(resolve => void events.on('reconnecting', resolve))
  const connector = new ReconnectingLink({
    dial: dialNode(),
    url: await startBusyServer(t, header),
    logIn: async link => void (await link.challenge()),
    dropToken: async () => false,
    random: () => Uint8Array.of(0x80, 0, 0, 0), // Half of the range, for the jitter.
    events,
  })
  t.teardown(() => connector.close())
  connector.link().catch(() => {})
  return told
}

t.test('a client waits as long as the server asks plus up to a second, up to a limit', async t => {
  t.match(await waitAfter('Retry-After: 3\r\n'), { waitMs: 3_500, error: { retryAfter: 3, code: 'unreachable' } })
  t.match(await waitAfter('Retry-After: 86400\r\n'), { waitMs: 60_500 })
})

t.test('without a valid number of seconds, the client waits as after any failure', async t => {
  for (const header of [
    '',
    'Retry-After: 0\r\n',
    'Retry-After: -5\r\n',
    'Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n',
  ]) {
    t.equal((await waitAfter(header)).waitMs, 500, header)
  }
})

t.test('17.5 a node that names any number delays a message by half a second to a minute', async t => {
  const waitFor = (retryAfter: number) => retryAfterMs(new ProtocolError('unavailable', 'later', { retryAfter }))
  for (const seconds of [0, 0.001, -1, Number.MIN_VALUE]) t.equal(waitFor(seconds), 500, String(seconds))
  for (const seconds of [0.5, 3, 10, 60]) t.equal(waitFor(seconds), seconds * 1_000, String(seconds))
  for (const seconds of [61, 3_600, 2 ** 53, 1e308, Number.POSITIVE_INFINITY])
    t.equal(waitFor(seconds), 60_000, String(seconds))
  t.equal(retryAfterMs(new ProtocolError('unavailable', 'later')), undefined)
  t.equal(retryAfterMs(new Error('another')), undefined)
})
