import { timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ProtocolError } from '../../../protocol/errors.ts'
import { addressKey } from '../../base/address-key.ts'
import { AuditLog } from '../../base/audit-log.ts'
import { hashSecret } from '../../base/secrets.ts'
import type { NodeContext } from '../../node/node-context.ts'

const bearerPattern = /^Bearer (\S{1,512})$/i
/** What a wrong token counts against its address, besides the call. */
const wrongTokenCost = 10

/** Notes what a request is about, once that is known to be a name and no secret. */
type NoteTarget = (request: FastifyRequest, target: string) => void

/**
 * Lets whoever has `ADMIN_TOKEN` use the routes of this scope, and writes every call down: those that are refused, too. `acts` says
 * which act a route is.
 */
export function guardOperator(
  app: FastifyInstance,
  node: NodeContext,
  tokenHash: string,
  actOf: (request: FastifyRequest) => string,
): NoteTarget {
  const audit = new AuditLog(node.log)
  const targets = new WeakMap<FastifyRequest, string>()
  const expected = Buffer.from(tokenHash)

  app.addHook('onRequest', async request => {
    node.operatorRates.spend(addressKey(request.ip))
    const token = bearerPattern.exec(request.headers.authorization ?? '')?.[1]
    if (token !== undefined && timingSafeEqual(Buffer.from(hashSecret(token)), expected)) return
    node.operatorRates.spend(addressKey(request.ip), wrongTokenCost)
    throw new ProtocolError('unauthorized', 'this needs Authorization: Bearer ADMIN_TOKEN')
  })

  app.addHook('onResponse', async (request, reply) => {
    const target = targets.get(request)
    const { ip, id } = request
    audit.note({ act: actOf(request), ip, request: id, status: reply.statusCode, ...(target && { target }) })
  })

  return (request, target) => void targets.set(request, target)
}
