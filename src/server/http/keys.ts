import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { httpRoutes } from '../../protocol/http.ts'
import type { NodeContext } from '../node/node-context.ts'
import { fetchKeys, publishKeys } from '../operations/keys.ts'
import { costOf } from '../rate-limits/frame-rules.ts'
import { routeOptions } from './route-options.ts'

export const keyRoutes: FastifyPluginAsyncTypebox<{ node: NodeContext }> = async (app, { node }) => {
  const { publishKeys: publish, fetchKeys: fetch } = httpRoutes

  app.put(publish.path, { schema: publish.schema, ...routeOptions(app, publish, costOf('publish_keys')) }, request =>
    publishKeys(node, request.getLogin().username, request.body),
  )

  app.post(fetch.path, { schema: fetch.schema, ...routeOptions(app, fetch) }, request =>
    fetchKeys(node, request.getLogin().username, request.params.username, request.body.id),
  )
}
