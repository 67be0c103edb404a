import { once } from 'node:events'
import { Agent, type IncomingMessage, request as send } from 'node:http'
import { connect } from 'node:net'
import { parseObject } from '../src/protocol/codec.ts'
import { errors, isErrorCode } from '../src/protocol/errors.ts'
import { asError } from '../src/util/as-error.ts'
import type { Findings } from './findings.ts'
import type { Caller, FuzzRequest } from './requests.ts'
import type { World } from './world.ts'

const hangMs = 60_000
/** Statuses of Fastify and Node with `bad_frame`: wrong method, long path, no JSON, large headers, bad `Expect`. */
const badFrameStatuses = [400, 405, 408, 413, 414, 415, 417, 431]
const maxSockets = 16

type Reply = { status: number; contentType: string; body: string }
/** Why there was no answer: no request was made, which is correct, or an error. */
type Silence = { silence: 'no request' } | { silence: 'fault'; why: string }

/** The target of requests, and its operator token. */
type CallTarget = Pick<World, 'adminToken' | 'nextAddress'> & { node: Pick<World['node'], 'url'> }

/** Sends requests and checks that each answer conforms to the protocol. */
export class HttpCaller {
  readonly #target: CallTarget
  readonly #findings: Findings
  readonly #agent = new Agent({ keepAlive: true, maxSockets })

  constructor(target: CallTarget, findings: Findings) {
    this.#target = target
    this.#findings = findings
  }

  /** `token` is the token of a user. */
  async call(input: FuzzRequest, token: string): Promise<void> {
    const reply = await (input.kind === 'bytes' ? this.#write(input.text) : this.#send(input, token))
    if ('status' in reply) this.#check(reply, input)
    else if (reply.silence === 'fault') this.#findings.fault(`no answer: ${reply.why}`, input)
    else this.#findings.count(`no answer, ${reply.silence}`)
  }

  close(): void {
    this.#agent.destroy()
  }

  #check({ status, contentType, body }: Reply, input: FuzzRequest): void {
    this.#findings.count(`HTTP ${status}`)
    if (status < 400) return
    const code = contentType.startsWith('application/problem+json') ? codeIn(body) : undefined
    if (code === undefined && input.kind === 'call' && input.method === 'HEAD') return
    if (code === undefined || !isErrorCode(code))
      return this.#findings.fault(`${status} without a code: ${body.slice(0, 200)}`, input)
    const fits = errors[code].http === status || (code === 'bad_frame' && badFrameStatuses.includes(status))
    if (!fits) this.#findings.fault(`${status} with ${code}`, input)
    if (code === 'internal') this.#findings.fault('internal', input)
  }

  #send({ method, path, as, contentType, body }: FuzzRequest & { kind: 'call' }, token: string) {
    const headers: Record<string, string> = {}
    const bearer = this.#tokenOf(as, token)
    if (bearer !== undefined) headers.authorization = `Bearer ${bearer}`
    if (contentType !== undefined) headers['content-type'] = contentType
    if (body !== undefined) headers['content-length'] = String(Buffer.byteLength(body))
    return new Promise<Reply | Silence>(resolve => {
      // Calls of the operator's routes count against their address, and wrong tokens count ten times.
      const options = { method, headers, agent: this.#agent, timeout: hangMs, localAddress: this.#target.nextAddress() }
      const outgoing = send(
        `${this.#target.node.url}${path}`,
        options,
        response => void readReply(response).then(resolve),
      )
      outgoing.on('timeout', () => {
        resolve(fault('hang'))
        outgoing.destroy()
      })
      outgoing.on('error', ({ message }) => resolve(fault(message)))
      outgoing.end(body)
    })
  }

  #tokenOf(as: Caller, token: string): string | undefined {
    switch (as) {
      case 'user':
        return token
      case 'operator':
        return this.#target.adminToken
      case 'liar':
        return `${this.#target.adminToken}x`
      case 'stranger':
        return undefined
    }
  }

  /** Writes bytes and ends the connection. Without the end, an incomplete request gets an answer after a time-out. */
  async #write(text: string): Promise<Reply | Silence> {
    const { hostname, port } = new URL(this.#target.node.url)
    const socket = connect({ port: Number(port), host: hostname, localAddress: this.#target.nextAddress() })
    let failure = 'the connection ended'
    socket.on('error', ({ message }) => {
      failure = message
    })
    let answer = ''
    socket.on('data', data => {
      answer += data
    })
    socket.end(Buffer.from(text, 'latin1'))
    const timer = setTimeout(() => {
      failure = 'hang'
      socket.destroy()
    }, hangMs)
    await once(socket, 'close')
    clearTimeout(timer)
    const [head = '', ...rest] = lastAnswer(answer).split('\r\n\r\n')
    const status = Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0)
    const contentType = /content-type: (\S+)/i.exec(head)?.[1] ?? ''
    if (status !== 0) return { status, contentType, body: rest.join('\r\n\r\n') }
    return asksNothing(text) && failure !== 'hang' ? { silence: 'no request' } : fault(failure)
  }
}

const fault = (why: string): Silence => ({ silence: 'fault', why })

/** Line ends before a request are skipped (RFC 9112 section 2.2), so they alone are no request. */
const asksNothing = (text: string): boolean => /^[\r\n]*$/.test(text)

/** Returns the last answer of a connection, which gives the reason for its end. */
const lastAnswer = (answers: string): string => answers.slice(Math.max(0, answers.lastIndexOf('HTTP/1.1 ')))

async function readReply(response: IncomingMessage): Promise<Reply | Silence> {
  let body = ''
  try {
    for await (const part of response) body += part
  } catch (error) {
    return fault(`cut off within the answer (${asError(error).message})`)
  }
  return { status: response.statusCode ?? 0, contentType: response.headers['content-type'] ?? '', body }
}

function codeIn(body: string): string | undefined {
  try {
    const { code } = parseObject(body)
    return typeof code === 'string' ? code : undefined
  } catch {
    return undefined
  }
}
