import { readFileSync } from 'node:fs'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Static, TSchema } from 'typebox'
import { Check } from 'typebox/schema'
import { refusalOf } from '../../client/base/server-words.ts'
import { parseServerUrl } from '../../client/connection/server-url.ts'
import { ServerFaultError, UnreachableError } from '../../client/node.ts'
import { isErrorCode, ProtocolError } from '../../protocol/errors.ts'
import { Problem } from '../../protocol/http.ts'

/** How long the node may take to answer, ms. */
const timeoutMs = 15_000
/** Largest answer, bytes: more than a page of 500 users needs. */
const maxAnswerBytes = 1_048_576

/** The server, and the token for its administration. */
export type AdminAccess = { server: string; token: string; caFile?: string; signal: AbortSignal }

export type Call = {
  method: string
  path: string
  query?: Record<string, string | number | boolean | undefined>
  body?: object
}

type Answer = { status: number; text: string }

/**
 * Calls an administration route and returns its answer, checked against the schema.
 * @throws {ProtocolError} if the node refuses the call. {UnreachableError} {ServerFaultError}
 */
export async function callAdmin<Schema extends TSchema>(
  access: AdminAccess,
  call: Call,
  schema: Schema,
): Promise<Static<Schema>> {
  const { status, text } = await send(access, call)
  const value = parseAnswer(text)
  if (status >= 400) throw toRefusal(status, value)
  if (!Check(schema, value)) throw new ServerFaultError('the answer of the server does not have the expected form')
  return value
}

function send(
  { server, token, caFile, signal }: AdminAccess,
  { method, path, query = {}, body }: Call,
): Promise<Answer> {
  const url = new URL(parseServerUrl(server).url.replace(/^ws/, 'http'))
  url.pathname = url.pathname.replace(/\/ws$/, path)
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value))
  const text = body === undefined ? undefined : JSON.stringify(body)
  const headers = { authorization: `Bearer ${token}`, ...(text && { 'content-type': 'application/json' }) }
  const tls = caFile === undefined ? {} : { ca: readFileSync(caFile) }
  return new Promise((resolve, reject) => {
    const begin = url.protocol === 'https:' ? requestHttps : requestHttp
    const request = begin(url, { method, headers, signal, timeout: timeoutMs, ...tls }, response => {
      let answer = ''
      response.setEncoding('utf8').on('data', part => {
        answer += part
        if (answer.length > maxAnswerBytes) request.destroy(new Error('the answer is too large'))
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: answer }))
      response.on('error', reject)
    })
    request.on('timeout', () => request.destroy(new Error('no answer in time')))
    request.on('error', error => reject(new UnreachableError(`the server is unreachable: ${error.message}`)))
    request.end(text)
  })
}

function parseAnswer(text: string): unknown {
  if (text === '') return null
  try {
    return JSON.parse(text)
  } catch {
    throw new ServerFaultError('this is not an aimessage server: its answer is not JSON')
  }
}

function toRefusal(status: number, value: unknown): Error {
  if (!Check(Problem, value) || !isErrorCode(value.code)) {
    return new ServerFaultError(`this is not an aimessage server: it answered ${status}`)
  }
  const { code, detail, retryAfter } = value
  if (code === 'not_found' && detail === 'no such path') {
    return new ProtocolError(code, 'this server has no administration: set ADMIN_TOKEN where its nodes run')
  }
  return refusalOf(code, detail, { retryAfter })
}
