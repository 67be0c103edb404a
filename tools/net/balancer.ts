import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** A node as the load balancer sees it. */
type Backend = { readonly port: number }

const probeMs = 500
const probeTimeoutMs = 1_000
const dialTimeoutMs = 1_000

/** Opens a TCP connection. */
export async function dialPort(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => {})
  await once(socket, 'connect', { signal: AbortSignal.timeout(dialTimeoutMs) }).catch(error => {
    socket.destroy()
    throw error
  })
  return socket
}

/** Sends each connection to the next ready node, as the load balancer of a deployment does. */
export class Balancer {
  readonly #backends: readonly Backend[]
  readonly #ready = new Set<Backend>()
  readonly #timer: NodeJS.Timeout
  #next = 0

  constructor(backends: readonly Backend[]) {
    this.#backends = backends
    this.#timer = setInterval(() => void this.probe(), probeMs)
  }

  get readyCount(): number {
    return this.#ready.size
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** @throws if no node accepts the connection. */
  async dial(): Promise<Socket> {
    const start = this.#next++
    const order = this.#backends.map((_, at) => this.#backends[(start + at) % this.#backends.length])
    for (const backend of order) {
      if (!backend || !this.#ready.has(backend)) continue
      try {
        return await dialPort(backend.port)
      } catch {
        this.#ready.delete(backend)
      }
    }
    throw new Error('no node is ready')
  }

  async probe(): Promise<void> {
    await Promise.all(this.#backends.map(backend => this.#probe(backend)))
  }

  async #probe(backend: Backend): Promise<void> {
    try {
      const url = `http://127.0.0.1:${backend.port}/health/ready`
      const { status } = await fetch(url, { signal: AbortSignal.timeout(probeTimeoutMs) })
      if (status === 200) this.#ready.add(backend)
      else this.#ready.delete(backend)
    } catch {
      this.#ready.delete(backend)
    }
  }
}
