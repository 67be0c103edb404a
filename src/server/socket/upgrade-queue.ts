import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import proxyAddr from '@fastify/proxy-addr'
import { addressKey } from '../base/address-key.ts'
import { endWithProblem } from '../http/plugins/problems.ts'
import type { NodeContext } from '../node/node-context.ts'
import type { Arrival } from '../rate-limits/admission.ts'

type Node = Pick<NodeContext, 'upgradeAdmission' | 'config' | 'metrics'>

/**
 * Returns a server that does not listen, and emits the upgrades of `server` once they are admitted. Until then an
 * upgrade costs only the reading of its headers, so that thousands can wait.
 */
export function admitted(server: Server, { upgradeAdmission, config, metrics }: Node): Server {
  const inner = createServer()
  const isTrusted = config.trustProxy.length > 0 ? proxyAddr.compile([...config.trustProxy]) : () => false
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const address = addressKey(proxyAddr(request, isTrusted) ?? '')
    const fail = () => socket.destroy()
    const gone = () => upgradeAdmission.leave(address, arrival)
    const arrival: Arrival = {
      admit: () => {
        socket.off('error', fail).off('close', gone)
        inner.emit('upgrade', request, socket, head)
      },
      refuse: error => {
        metrics.putOff.inc()
        endWithProblem(socket, error, { status: 503, reason: 'Service Unavailable' })
      },
    }
    socket.on('error', fail).on('close', gone)
    upgradeAdmission.enter(address, arrival)
  })
  return inner
}
