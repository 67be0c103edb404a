import { readFileSync } from 'node:fs'
import t from 'tap'
import { openMetrics } from '../../../src/server/base/metrics.ts'
import type { Notice } from '../../../src/server/store/store.ts'
import { HttpClient } from '../../../tools/clients/http-client.ts'
import { RawClient } from '../../../tools/clients/raw-client.ts'
import { openTestStore, startTestNode, withFaults } from '../../../tools/servers/running-node.ts'

t.test('docs/OPERATIONS.md describes exactly the metrics of a node', async t => {
  const text = readFileSync(new URL('../../../docs/OPERATIONS.md', import.meta.url), 'utf8')
  const [, table = ''] = /\| metric \|(.*?)\n\n/s.exec(text) ?? []
  const named = [...table.matchAll(/`(aimessage_\w+)(?:\{(\w+)\})?`/g)].map(([, name]) => name)
  const metrics = await openMetrics().registry.getMetricsAsJSON()
  t.same(named.sort(), metrics.map(({ name }) => name).sort())
})

// Evidence: W23
t.test('errors and closes are counted by their code and reason', async t => {
  const { url, wsUrl, metricsUrl } = await startTestNode(t, { METRICS_PORT: '0' })
  const client = await RawClient.loggedIn(t, wsUrl)
  await client.request({ type: 'send', to: 'nobody-here', body: 'AAAA' })
  await client.request({ type: 'authenticate', token: 'x'.repeat(43) })
  await new HttpClient(url, 'x'.repeat(43)).call('GET', '/v1/users')
  const stranger = await RawClient.connect(t, wsUrl)
  stranger.socket.send('no frame')
  await stranger.closed
  const text = await (await fetch(metricsUrl ?? '')).text()
  t.match(text, 'aimessage_errors_total{code="unknown_user"} 1')
  t.match(text, 'aimessage_errors_total{code="unauthorized"} 1')
  t.match(text, 'aimessage_closed_total{reason="notTheProtocol"} 1')
  t.notMatch(text, client.user.username, 'and the user is not named')
})

t.test(
  '18.10 the metrics say whether the node is ready, whether the store is there, and which version runs',
  async t => {
    let isUp = true
    const store = withFaults(openTestStore(), { isReady: () => isUp })
    const { metricsUrl } = await startTestNode(t, { METRICS_PORT: '0' }, { store })
    const text = async () => (await fetch(metricsUrl ?? '')).text()
    t.match(await text(), /^aimessage_ready 1$/m)
    t.match(await text(), /^aimessage_redis_up 1$/m)
    t.match(await text(), /^aimessage_build_info\{version="\d+\.\d+\.\d+[^"]*",node="v\d+[^"]*"\} 1$/m)
    isUp = false
    t.match(await text(), /^aimessage_ready 0$/m)
    t.match(await text(), /^aimessage_redis_up 0$/m)
  },
)

t.test('18.10 sockets that a node closes because the store lost mail are not counted as draining', async t => {
  let notify: (notice: Notice) => void = () => {}
  const own = openTestStore()
  const store = withFaults(own, {
    onNotice: handler => {
      notify = handler
      own.onNotice(handler)
    },
  })
  const { wsUrl, metricsUrl } = await startTestNode(t, { METRICS_PORT: '0' }, { store })
  const client = await RawClient.loggedIn(t, wsUrl)
  notify({ kind: 'revocations-lost' })
  await client.closed
  const text = await (await fetch(metricsUrl ?? '')).text()
  t.match(text, 'aimessage_closed_total{reason="storeLost"} 1')
  t.notMatch(text, 'reason="draining"')
})
