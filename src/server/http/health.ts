import type { FastifyInstance } from 'fastify'
import * as Type from 'typebox'
import { unavailable } from '../base/to-protocol-error.ts'
import type { NodeContext } from '../node/node-context.ts'

const schema = {
  summary: 'For process managers and load balancers',
  response: { 200: Type.Object({ status: Type.Literal('ok') }) },
}

/** Live: the process responds. Ready: the node takes work. */
export async function healthRoutes(app: FastifyInstance, { node }: { node: NodeContext }): Promise<void> {
  app.get('/health/live', { schema }, () => ({ status: 'ok' }))

  app.get('/health/ready', { schema }, () => {
    if (node.isDraining()) throw unavailable('the node is shutting down')
    if (!node.store.isReady()) throw unavailable('the store is out of reach')
    return { status: 'ok' }
  })
}
