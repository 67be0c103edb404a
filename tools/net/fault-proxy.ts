import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'

/** How the proxy treats bytes. `up` is towards the server, `down` towards the client. */
export type ProxyMode =
  | { kind: 'pass' }
  /** No bytes pass and nothing closes; waiting bytes pass afterwards, as after a partition that TCP survives. */
  | { kind: 'pause' }
  /** Resets existing and new connections. */
  | { kind: 'rst' }
  | { kind: 'delay'; ms: number }
  /** Drops the bytes of one direction. A stream with a gap is useless: reset it afterwards. */
  | { kind: 'swallow'; direction: 'up' | 'down' }
  /** Cuts each direction of a connection in the middle of its data. */
  | { kind: 'cut'; afterBytes: number }

type Direction = 'up' | 'down'

/** A TCP proxy that can inject faults. `dial` opens the connection to the server, and may reject. */
export class FaultProxy {
  readonly #server: Server
  readonly #links = new Set<ProxyLink>()
  /** Clients that wait for a connection to the server. */
  readonly #waiting = new Set<Socket>()
  #mode: ProxyMode = { kind: 'pass' }
  #lost = 0

  private constructor(dial: () => Promise<Socket>) {
    this.#server = createServer({ pauseOnConnect: true, noDelay: true }, client => void this.#accept(client, dial))
  }

  static async listen(dial: () => Promise<Socket>): Promise<FaultProxy> {
    const proxy = new FaultProxy(dial)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address ? address.port : 0
  }

  get connections(): number {
    return this.#links.size
  }

  /** The number of swallowed bytes, plus the number of connections that were reset or cut. */
  get lost(): number {
    return this.#lost
  }

  set(mode: ProxyMode): void {
    this.#mode = mode
    if (mode.kind === 'rst') this.reset()
    for (const link of this.#links) link.set(mode)
  }

  /** Resets all connections, or those for which `chosen` returns true. Returns their number. */
  reset(chosen: () => boolean = () => true): number {
    const links = [...this.#links].filter(chosen)
    for (const link of links) link.reset()
    this.#lost += links.length
    return links.length
  }

  async close(): Promise<void> {
    this.#mode = { kind: 'rst' }
    for (const link of this.#links) link.reset()
    for (const client of this.#waiting) client.resetAndDestroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #accept(client: Socket, dial: () => Promise<Socket>): Promise<void> {
    client.on('error', () => {})
    this.#waiting.add(client)
    try {
      this.#link(client, await dial())
    } catch {
      client.resetAndDestroy()
    } finally {
      this.#waiting.delete(client)
    }
  }

  #link(client: Socket, server: Socket): void {
    const link = new ProxyLink(client, server, lost => {
      this.#lost += lost
    })
    this.#links.add(link)
    void link.ended.then(() => this.#links.delete(link))
    if (client.destroyed || this.#mode.kind === 'rst') link.reset()
    else link.set(this.#mode)
  }
}

/** One connection through the proxy. */
class ProxyLink {
  readonly #client: Socket
  readonly #server: Socket
  readonly #onLost: (bytes: number) => void
  /** Resolves when both sides are closed. */
  readonly ended: Promise<unknown>
  #mode: ProxyMode = { kind: 'pass' }
  readonly #bytes = { up: 0, down: 0 }
  readonly #late: Record<Direction, { chunk: Buffer; at: number }[]> = { up: [], down: [] }

  constructor(client: Socket, server: Socket, onLost: (bytes: number) => void) {
    this.#client = client
    this.#server = server
    this.#onLost = onLost
    this.ended = Promise.all([client, server].map(socket => new Promise(resolve => socket.once('close', resolve))))
    this.#join(client, server, 'up')
    this.#join(server, client, 'down')
  }

  set(mode: ProxyMode): void {
    this.#mode = mode
    for (const socket of [this.#client, this.#server]) {
      if (mode.kind === 'pause') socket.pause()
      else socket.resume()
    }
  }

  reset(): void {
    this.#client.resetAndDestroy()
    this.#server.resetAndDestroy()
  }

  #join(from: Socket, to: Socket, direction: Direction): void {
    from.on('error', () => {})
    from.on('data', chunk => this.#forward(chunk, from, to, direction))
    from.on('end', () => to.end())
    from.on('close', failed => {
      if (failed) return to.resetAndDestroy()
      // Nothing reads its remaining data, and a paused socket would never notice its end.
      to.resume()
      return to.end()
    })
    to.on('drain', () => {
      if (this.#mode.kind !== 'pause') from.resume()
    })
  }

  #forward(chunk: Buffer, from: Socket, to: Socket, direction: Direction): void {
    const mode = this.#mode
    this.#bytes[direction] += chunk.length
    if (mode.kind === 'swallow' && mode.direction === direction) return this.#onLost(chunk.length)
    if (mode.kind === 'cut' && this.#bytes[direction] > mode.afterBytes) return this.#cut(chunk, to)
    const late = this.#late[direction]
    if (mode.kind === 'delay' || late.length > 0) this.#hold(chunk, to, direction, mode.kind === 'delay' ? mode.ms : 0)
    else if (!to.write(chunk)) from.pause()
  }

  /** Delayed bytes stay in order, and later bytes wait behind them: the stream must not change. */
  #hold(chunk: Buffer, to: Socket, direction: Direction, ms: number): void {
    const late = this.#late[direction]
    const at = performance.now() + ms
    late.push({ chunk, at })
    if (late.length > 1) return
    const next = () => {
      to.write(late[0]?.chunk ?? '')
      late.shift()
      if (late[0]) setTimeout(next, Math.max(0, late[0].at - performance.now()))
    }
    setTimeout(next, ms)
  }

  #cut(chunk: Buffer, to: Socket): void {
    this.#onLost(1)
    to.write(chunk.subarray(0, chunk.length / 2), () => this.reset())
  }
}
