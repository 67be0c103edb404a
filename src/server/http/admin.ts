import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { adminRoutes } from '../../protocol/admin-http.ts'
import type { NodeContext } from '../node/node-context.ts'
import { endLogins } from '../operations/active-logins.ts'
import {
  blockUser,
  createInvite,
  drainNode,
  inspectUser,
  listInvites,
  listNodes,
  parseTarget,
  releaseName,
  removeUser,
  revokeInvite,
  unblockUser,
} from '../operations/administration.ts'
import { findUsers } from '../operations/users.ts'
import { guardOperator } from './plugins/operator.ts'

type Options = { node: NodeContext; tokenHash: string }

/** The operator's routes (docs/PROTOCOL.md section 11). They exist only if `ADMIN_TOKEN` is set. */
export const operatorRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { node, tokenHash }) => {
  const acts = new Map(Object.entries(adminRoutes).map(([act, { method, path }]) => [`${method} ${path}`, act]))
  const noteTarget = guardOperator(
    app,
    node,
    tokenHash,
    ({ method, routeOptions }) => acts.get(`${method} ${routeOptions.url}`) ?? 'unknown',
  )
  const routes = adminRoutes

  app.post(routes.createInvite.path, { schema: routes.createInvite.schema }, async (request, reply) => {
    const created = await createInvite(node, request.body.expiresIn)
    noteTarget(request, created.id)
    return reply.code(201).send(created)
  })

  app.get(routes.listInvites.path, { schema: routes.listInvites.schema }, request => listInvites(node, request.query))

  app.delete(routes.revokeInvite.path, { schema: routes.revokeInvite.schema }, async (request, reply) => {
    const { id } = request.params
    // Logged only after the id was found: the caller may have sent the secret invite instead of its id.
    await revokeInvite(node, id)
    noteTarget(request, id)
    return reply.code(204).send(null)
  })

  app.get(routes.listUsers.path, { schema: routes.listUsers.schema }, request => findUsers(node, request.query))

  const ofUser = <Result>(
    request: Parameters<typeof noteTarget>[0] & { params: { username: string } },
    work: (username: ReturnType<typeof parseTarget>) => Promise<Result>,
  ): Promise<Result> => {
    const username = parseTarget(node, request.params.username)
    noteTarget(request, username)
    return work(username)
  }

  app.get(routes.inspectUser.path, { schema: routes.inspectUser.schema }, async request =>
    ofUser(request, username => inspectUser(node, username)),
  )

  app.put(routes.blockUser.path, { schema: routes.blockUser.schema }, async request =>
    ofUser(request, username => blockUser(node, username)),
  )

  app.delete(routes.unblockUser.path, { schema: routes.unblockUser.schema }, async (request, reply) => {
    await ofUser(request, username => unblockUser(node, username))
    return reply.code(204).send(null)
  })

  app.delete(routes.deleteUser.path, { schema: routes.deleteUser.schema }, async (request, reply) => {
    await ofUser(request, username => removeUser(node, username))
    return reply.code(204).send(null)
  })

  app.delete(routes.releaseName.path, { schema: routes.releaseName.schema }, async (request, reply) => {
    await ofUser(request, username => releaseName(node, username))
    return reply.code(204).send(null)
  })

  app.delete(routes.endSessions.path, { schema: routes.endSessions.schema }, async request => ({
    count: await ofUser(request, username => endLogins(node, username)),
  }))

  app.get(routes.listNodes.path, { schema: routes.listNodes.schema }, async () => ({ nodes: await listNodes(node) }))

  app.put(routes.drainNode.path, { schema: routes.drainNode.schema }, async (request, reply) => {
    const { node: id } = request.params
    await drainNode(node, id)
    noteTarget(request, id)
    return reply.code(202).send({ node: id })
  })
}
