import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { httpRoutes } from '../../protocol/http.ts'
import { limits } from '../../protocol/limits.ts'
import type { NodeContext } from '../node/node-context.ts'
import { deleteUser, getUser, listUsers } from '../operations/users.ts'
import { costOf } from '../rate-limits/frame-rules.ts'
import { routeOptions } from './route-options.ts'

export const userRoutes: FastifyPluginAsyncTypebox<{ node: NodeContext }> = async (app, { node }) => {
  const { listUsers: list, getUser: get, deleteUser: remove } = httpRoutes

  app.get(list.path, { schema: list.schema, ...routeOptions(app, list, costOf('list_users')) }, async request => {
    const { looked, ...page } = await listUsers(node, request.query)
    await node.userRates.payCall(request.getLogin().username, looked / limits.lookupsPerToken)
    return page
  })

  app.get(get.path, { schema: get.schema, ...routeOptions(app, get) }, request =>
    getUser(node, request.getLogin().username, request.params.username),
  )

  app.delete(remove.path, { schema: remove.schema, ...routeOptions(app, remove) }, async (request, reply) => {
    await deleteUser(node, request.getLogin().username, { ...request.params, ...request.body })
    return reply.code(204).send(null)
  })
}
