import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import * as Type from 'typebox'
import { unavailable } from '../base/to-protocol-error.ts'
import type { NodeContext } from '../node/node-context.ts'

const summary = 'For process managers and load balancers'
const Status = Type.Object({ status: Type.Literal('ok') })
const live = {
  operationId: 'live',
  tags: ['Health'],
  summary: `${summary}: the process answers`,
  response: { 200: Status },
}
const ready = {
  operationId: 'ready',
  tags: ['Health'],
  summary: `${summary}: the node takes work`,
  querystring: Type.Object({ full: Type.Optional(Type.Literal('ok')) }),
  response: {
    200: Type.Object({
      status: Type.Literal('ok'),
      storage: Type.Union([Type.Literal('ok'), Type.Literal('scarce'), Type.Literal('full')]),
    }),
  },
}

/** Monitors ask with HEAD, and HAProxy with OPTIONS: both are answered as GET. */
const hidden = { hide: true }

/**
 * Live: the process responds. Ready: the node takes work. A node with a full store takes no new mail, so it is not
 * ready. A balancer asks with `full=ok`: agents must reach the node to read their mail, which makes room.
 */
export const healthRoutes: FastifyPluginAsyncTypebox<{ node: NodeContext }> = async (app, { node }) => {
  const alive = () => ({ status: 'ok' as const })
  app.get('/health/live', { schema: live, exposeHeadRoute: true }, alive)
  app.options('/health/live', { schema: hidden }, alive)

  const accepts = ({ query }: { query: { full?: 'ok' } }) => {
    if (node.isDraining()) throw unavailable('the node is shutting down')
    if (!node.store.isReady()) throw unavailable('the store is out of reach')
    const { level } = node.store.storage.use()
    if (level === 'full' && query.full !== 'ok') throw unavailable('the store is full: it takes no new mail')
    return { status: 'ok' as const, storage: level }
  }
  app.get('/health/ready', { schema: ready, exposeHeadRoute: true }, accepts)
  app.options('/health/ready', { schema: { ...ready, ...hidden } }, accepts)
}
