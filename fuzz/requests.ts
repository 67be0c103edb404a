import fc, { type Arbitrary } from 'fast-check'
import { adminRoutes } from '../src/protocol/admin-http.ts'
import { type HttpRoute, httpRoutes } from '../src/protocol/http.ts'
import { fromSchema, type Known } from './from-schema.ts'
import { oddValue, spoilt, torn } from './odd-values.ts'

/** The token of a call: a user's, the operator's, an unknown one, or none. */
export type Caller = 'user' | 'operator' | 'liar' | 'stranger'

/** `call` is one request; `bytes` are written to the port as they are. */
export type FuzzRequest =
  | {
      kind: 'call'
      method: string
      path: string
      as: Caller
      contentType: string | undefined
      body: string | undefined
    }
  | { kind: 'bytes'; text: string }

type Route = Omit<HttpRoute, 'auth'>
/** A route, the token it needs, and the values that it knows. */
type Target = { route: Route; owner: Caller; known: Known }

const userRoutes: readonly Route[] = Object.values(httpRoutes)
const operatorRoutes: readonly Route[] = Object.values(adminRoutes)

/** Content types. Only the first one is correct. */
const contentTypes = [
  'application/json',
  'application/json; charset=utf-8',
  ' application/json',
  'application/json\t',
  'APPLICATION/JSON',
  'application/json;',
  'application/json,text/plain',
  'application/problem+json',
  'text/plain',
  'multipart/form-data; boundary=x',
  'application/x-www-form-urlencoded',
  '',
]

const segment = (values: readonly unknown[]): Arbitrary<string> =>
  fc.oneof(
    fc.constantFrom(...values).map(value => encodeURIComponent(String(value))),
    fc.constantFrom('%zz', '%00', '..%2f', '__proto__', 'x'.repeat(300), '%F0%9F%98%80', '*', ''),
  )

const pathOf = (path: string, known: Known): Arbitrary<string> =>
  fc
    .tuple(
      ...path
        .split('/')
        .map(part => (part.startsWith(':') ? segment(known[part.slice(1)] ?? ['x']) : fc.constant(part))),
    )
    .map(parts => parts.join('/'))

const query = (route: Route, known: Known): Arbitrary<string> =>
  route.schema.querystring === undefined
    ? fc.constant('')
    : fc
        .oneof(
          fromSchema(route.schema.querystring, known),
          fc.dictionary(fc.constantFrom('limit', 'wait', 'prefix', 'x'), oddValue),
        )
        .map(toQuery)

/** Encodes a query and leaves out `wait`, so that no call waits for mail. */
function toQuery(value: unknown): string {
  const fields = typeof value === 'object' && value !== null ? Object.entries(value) : []
  const pairs = fields
    .filter(([name]) => name !== 'wait')
    .map(([name, each]) => `${name}=${encodeURIComponent(wellFormed(each))}`)
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`
}

/** A URL cannot contain a lone surrogate. */
const wellFormed = (value: unknown): string =>
  Buffer.from(String(typeof value === 'object' ? JSON.stringify(value) : value)).toString()

const bodyOf = (route: Route, known: Known): Arbitrary<string | undefined> => {
  const schema = route.schema.body
  if (schema === undefined) return fc.constantFrom(undefined, undefined, '{}', '[')
  const valid = fromSchema(schema, known)
  const whole = valid.map(value => JSON.stringify(value))
  return fc.oneof(whole, spoilt(valid), torn(whole), fc.constantFrom(undefined, '', '[]', 'null', '['.repeat(5_000)))
}

/** Nine of ten calls have the token that their route needs. */
const callerOf = (owner: Caller): Arbitrary<Caller> =>
  fc.oneof(
    { weight: 9, arbitrary: fc.constant(owner) },
    { weight: 1, arbitrary: fc.constantFrom<Caller>('user', 'operator', 'liar', 'stranger') },
  )

const callOf = ({ route, owner, known }: Target): Arbitrary<FuzzRequest> =>
  fc.record({
    kind: fc.constant('call' as const),
    method: fc.oneof(
      { weight: 19, arbitrary: fc.constant<string>(route.method) },
      { weight: 1, arbitrary: fc.constantFrom('GET', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD') },
    ),
    path: fc.tuple(pathOf(route.path, known), query(route, known)).map(parts => parts.join('')),
    as: callerOf(owner),
    contentType: fc.oneof(
      { weight: 9, arbitrary: fc.constant<string | undefined>(contentTypes[0]) },
      { weight: 1, arbitrary: fc.constantFrom(undefined, ...contentTypes) },
    ),
    body: bodyOf(route, known),
  })

const heads = [
  'GET / HTTP/1.1',
  'POST /v1/messages HTTP/1.1',
  'GET /ws HTTP/1.1',
  'GET /v1/users HTTP/9.9',
  'PRI * HTTP/2.0',
  'GET http://x/ HTTP/1.1',
]
const lines = [
  'host: x',
  'content-length: 5',
  'content-length: -1',
  'transfer-encoding: chunked',
  'upgrade: websocket',
  'connection: upgrade',
  'sec-websocket-version: 13',
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-key: x',
  'sec-websocket-protocol: aimessage.v1',
  'origin: null',
  'expect: 100-continue',
  `x: ${'y'.repeat(20_000)}`,
  ': x',
  'x',
]

const bytes: Arbitrary<FuzzRequest> = fc
  .oneof(
    fc
      .tuple(
        fc.constantFrom(...heads),
        fc.array(fc.constantFrom(...lines), { maxLength: 8 }),
        fc.string({ maxLength: 20 }),
      )
      .map(([head, fields, body]) => `${[head, ...fields].join('\r\n')}\r\n\r\n${body}`),
    fc.string({ unit: 'binary', maxLength: 300 }),
  )
  .map(text => ({ kind: 'bytes', text }))

/** `known` has the values for routes of users, `operatorKnown` those for routes of the operator. */
export function request(known: Known, operatorKnown: Known): Arbitrary<FuzzRequest> {
  const targets: readonly Target[] = [
    ...userRoutes.map(route => ({ route, owner: 'user' as const, known })),
    ...operatorRoutes.map(route => ({ route, owner: 'operator' as const, known: operatorKnown })),
  ]
  return fc.oneof({ weight: 49, arbitrary: fc.constantFrom(...targets).chain(callOf) }, { weight: 1, arbitrary: bytes })
}
