import { timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ProtocolError } from '../../../protocol/errors.ts'
import { addressKey } from '../../base/address-key.ts'
import { AuditLog } from '../../base/audit-log.ts'
import { hashSecret } from '../../base/secrets.ts'
import type { NodeContext } from '../../node/node-context.ts'

const bearerPattern = /^Bearer (\S{1,512})$/i
/** Extra cost of a wrong token, counted against the rate of its IP address. */
const wrongTokenCost = 10

/** Sets the target of a request in the audit log. Called only with a recognised name or id, never a secret. */
type NoteTarget = (request: FastifyRequest, target: string) => void

/**
 * Requires `ADMIN_TOKEN` on all routes of this scope, and logs every call, refused calls included. `actOf` returns the
 * act of a route for the log.
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
    throw new ProtocolError('unauthorized', 'this route needs Authorization: Bearer ADMIN_TOKEN')
  })

  app.addHook('onResponse', async (request, reply) => {
    const target = targets.get(request)
    const { ip, id } = request
    audit.note({ act: actOf(request), ip, request: id, status: reply.statusCode, ...(target && { target }) })
  })

  return (request, target) => void targets.set(request, target)
}
