import t from 'tap'
import type { ClientEvents } from '../../../src/client/base/events.ts'
import { dialNode } from '../../../src/client/connection/dial-node.ts'
import { ReconnectingLink } from '../../../src/client/connection/reconnecting-link.ts'
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
