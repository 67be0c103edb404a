import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { httpRoutes } from '../../protocol/http.ts'
import { limits } from '../../protocol/limits.ts'
import type { NodeContext } from '../node/node-context.ts'
import { endLogin, endLogins, listLogins } from '../operations/active-logins.ts'
import { listRules, privacy, setRule } from '../operations/privacy.ts'
import { costOf } from '../rate-limits/frame-rules.ts'
import { routeOptions } from './route-options.ts'

/** The caller's logins, and the rules for who may write to the caller. */
export const accountRoutes: FastifyPluginAsyncTypebox<{ node: NodeContext }> = async (app, { node }) => {
  const routes = httpRoutes
  const optionsOf = (route: (typeof routes)[keyof typeof routes]) => routeOptions(app, route, costOf('list_rules'))

  app.get(
    routes.listSessions.path,
    { schema: routes.listSessions.schema, ...optionsOf(routes.listSessions) },
    async request => {
      const { username, tokenHash } = request.getLogin()
      return { sessions: await listLogins(node, username, tokenHash) }
    },
  )

  app.delete(
    routes.endSessions.path,
    { schema: routes.endSessions.schema, ...optionsOf(routes.endSessions) },
    async request => {
      const { username, tokenHash } = request.getLogin()
      return { count: await endLogins(node, username, tokenHash) }
    },
  )

  app.delete(
    routes.endSession.path,
    { schema: routes.endSession.schema, ...optionsOf(routes.endSession) },
    async (request, reply) => {
      await endLogin(node, request.getLogin().username, request.params.session)
      return reply.code(204).send(null)
    },
  )

  app.get(
    routes.getPrivacy.path,
    { schema: routes.getPrivacy.schema, ...routeOptions(app, routes.getPrivacy) },
    request => privacy(node, request.getLogin().username),
  )

  app.put(routes.setPrivacy.path, { schema: routes.setPrivacy.schema, ...optionsOf(routes.setPrivacy) }, request =>
    privacy(node, request.getLogin().username, request.body.writers),
  )

  app.get(routes.listRules.path, { schema: routes.listRules.schema, ...optionsOf(routes.listRules) }, async request => {
    const { username } = request.getLogin()
    const { looked, ...page } = await listRules(node, username, request.query)
    await node.userRates.payCall(username, looked / limits.rulesPerToken)
    return page
  })

  app.put(routes.setRule.path, { schema: routes.setRule.schema, ...optionsOf(routes.setRule) }, request =>
    setRule(node, request.getLogin().username, request.params.username, request.body.rule),
  )

  app.delete(
    routes.clearRule.path,
    { schema: routes.clearRule.schema, ...optionsOf(routes.clearRule) },
    async (request, reply) => {
      await setRule(node, request.getLogin().username, request.params.username, 'none')
      return reply.code(204).send(null)
    },
  )
}
