import t from 'tap'
import type { ClientEvents } from '../../../src/client/base/events.ts'
import { dialNode } from '../../../src/client/connection/dial-node.ts'
import { ReconnectingLink } from '../../../src/client/connection/reconnecting-link.ts'
import { Emitter } from '../../../src/util/emitter.ts'
import { startTestNode } from '../../../tools/servers/running-node.ts'

/** Each caller waits for the link, and asks for the next one as soon as it has ended. */
const callers: Record<string, (link: ReconnectingLink) => Promise<void>> = {
  'a caller that waits for the end of the link': async link => void (await (await link.link()).closed),
  'a caller whose request fails with the link': async link => {
    const current = await link.link()
    while (current.isOpen) await current.request({ type: 'heartbeat' }).catch(() => {})
  },
  'a caller that makes one attempt': async link => {
    const current = await link.connect()
    while (current.isOpen) await current.request({ type: 'heartbeat' }).catch(() => {})
  },
}

for (const [name, ask] of Object.entries(callers)) {
  t.test(`17.19 a link that ends at once is followed by the back-off: ${name}`, async t => {
    const node = await startTestNode(t)
    const times: number[] = []
    const events = new Emitter<ClientEvents>()
    const link = new ReconnectingLink({
      dial: dialNode(),
      url: node.wsUrl,
      logIn: async fresh => void (await fresh.challenge()),
      dropToken: async () => false,
      random: () => Uint8Array.of(0x80, 0, 0, 0), // Half of the range, for the jitter.
      events,
    })
    t.teardown(() => link.close())
    events.on('connected', () => {
      times.push(performance.now())
      // This side ends the link, as it does when it cannot store what it received.
      setTimeout(
        () =>
          link
            .link()
            .then(current => current.close())
            .catch(() => {}),
        5,
      )
    })
    while (times.length < 4) await ask(link)
    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0))
    // 500, 1 000 and 2 000 ms, less what a timer may be early.
    for (const [at, least] of [480, 980, 1_980].entries()) t.ok((gaps[at] ?? 0) >= least, `gap ${at}: ${gaps[at]} ms`)
  })
}
