import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { adminRoutes, adminSchemas } from '../../../protocol/admin-http.ts'
import { type ErrorCode, errors } from '../../../protocol/errors.ts'
import { type HttpRoute, httpRoutes, httpSchemas } from '../../../protocol/http.ts'

type Documented = Pick<HttpRoute, 'auth' | 'tag' | 'summary' | 'refusals'>

const keyOf = (method: string, path: string): string => `${method} ${path}`
const capitalized = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** Every route of the tables, by method and path, with its operation id. */
const operations = new Map<string, Documented & { operationId: string }>([
  ...Object.entries<HttpRoute>(httpRoutes).map(
    ([operationId, route]) => [keyOf(route.method, route.path), { ...route, operationId }] as const,
  ),
  ...Object.entries<Omit<HttpRoute, 'auth'>>(adminRoutes).map(
    ([act, route]) =>
      [keyOf(route.method, route.path), { ...route, auth: true, operationId: `admin${capitalized(act)}` }] as const,
  ),
])

/** Refusals that every route knows; `unauthorized` comes with `auth`. A page of a foreign origin is `forbidden`. */
const commonRefusals: readonly ErrorCode[] = ['bad_frame', 'forbidden', 'rate_limited', 'internal', 'unavailable']

const tags = [
  { name: 'Login', description: 'Registration, login, and the logins of the caller' },
  { name: 'Messages', description: 'Sending, and the inbox of the caller' },
  { name: 'Keys', description: 'Bundles and one-time keys' },
  { name: 'Users' },
  { name: 'Cards', description: 'Signed descriptions of agents' },
  { name: 'Access', description: 'From which senders the caller accepts messages' },
  { name: 'Health', description: 'For process managers and load balancers' },
]
const operatorTag = { name: 'Administration', description: 'Needs ADMIN_TOKEN as the token' }

/**
 * Serves `/openapi.json` and `/docs`, generated from the schemas that validate requests. `isOperated`: the node has
 * the operator's routes.
 */
export const documentation = fastifyPlugin<{ isOperated: boolean }>(
  async (app: FastifyInstance, { isOperated }) => {
    const schemas = isOperated ? { ...httpSchemas, ...adminSchemas } : httpSchemas
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'aimessage',
          version: '1',
          description: 'End-to-end encrypted messages between AI agents. Errors are application/problem+json.',
          license: { name: 'MIT', identifier: 'MIT' },
        },
        tags: isOperated ? [...tags, operatorTag] : tags,
        security: [{ token: [] }],
        components: {
          securitySchemes: {
            token: {
              type: 'http',
              scheme: 'bearer',
              description: 'A token from a registration or a login, or the ADMIN_TOKEN of the operator',
            },
          },
        },
      },
      transform: ({ schema, url, route }) => ({ schema: describe(schema, route), url }),
      transformObject: document =>
        'openapiObject' in document ? withComponents(document.openapiObject, schemas) : document.swaggerObject,
    })
    await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: true })
    app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
  },
  { name: 'documentation', fastify: '5.x', dependencies: ['validation'] },
)

/** Adds what the tables say about a route. A route outside of them, such as health, describes itself and is public. */
function describe<Schema extends FastifySchema | undefined>(schema: Schema, { method, url }: RouteOptions): Schema {
  if (!schema || schema.hide) return schema
  const known = operations.get(keyOf(String(method), url))
  const refusals = known
    ? [...commonRefusals, ...(known.auth ? (['unauthorized'] as const) : []), ...known.refusals]
    : (['unavailable'] as const)
  return {
    ...schema,
    ...(known && { operationId: known.operationId, summary: known.summary, tags: [known.tag] }),
    ...(!known?.auth && { security: [] }),
    response: { ...Object(schema.response), ...problemsOf(refusals), default: problem('Any other refusal') },
  }
}

const problem = (description: string) => ({
  description,
  content: { 'application/problem+json': { schema: httpSchemas.Problem } },
})

/** Returns a response for each status of these refusals. */
function problemsOf(refusals: readonly ErrorCode[]): Record<number, ReturnType<typeof problem>> {
  const codes = new Map<number, Set<ErrorCode>>()
  for (const code of refusals) {
    const { http } = errors[code]
    codes.set(http, (codes.get(http) ?? new Set()).add(code))
  }
  return Object.fromEntries([...codes].map(([status, known]) => [status, problem([...known].join(', '))]))
}

/** Returns a schema as @fastify/swagger writes it: `const` as an `enum` of one value. */
function asWritten(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(asWritten)
  if (typeof schema !== 'object' || schema === null) return schema
  const members = Object.entries(schema).map(([name, value]) =>
    name === 'const' ? ['enum', [value]] : [name, asWritten(value)],
  )
  return Object.fromEntries(members)
}

/** Moves the named schemas of a document to its components, and refers to them. */
function withComponents<Document extends object>(document: Document, named: Readonly<Record<string, object>>) {
  const schemas = Object.entries(named).map(([name, schema]) => [name, asWritten(schema)] as const)
  const names = new Map(schemas.map(([name, schema]) => [JSON.stringify(schema), name]))
  const refer = (value: unknown): unknown => {
    const name = typeof value === 'object' && value !== null ? names.get(JSON.stringify(value)) : undefined
    return name === undefined ? referWithin(value) : { $ref: `#/components/schemas/${name}` }
  }
  const referWithin = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(refer)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([member, inner]) => [member, refer(inner)]))
  }
  const components = schemas.map(([name, schema]) => [name, referWithin(schema)])
  const referring = Object(referWithin(document))
  return { ...referring, components: { ...referring.components, schemas: Object.fromEntries(components) } }
}
