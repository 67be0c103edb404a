import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/schema'
import { Convert } from 'typebox/value'
import { ProtocolError } from '../../../protocol/errors.ts'

/**
 * Uses the same validator as for frames. Converts only the query, which is text; the body must have the right types.
 */
export const validation = fastifyPlugin(
  async (app: FastifyInstance) => {
    app.setValidatorCompiler<TSchema>(({ schema, httpPart }) => {
      const validator = Compile(schema)
      return (input: unknown) => {
        const value = httpPart === 'querystring' ? Convert(schema, input) : input
        if (validator.Check(value)) return { value }
        const [, [error]] = validator.Errors(value)
        const field = error?.instancePath.slice(1).replaceAll('/', '.') || httpPart
        return { error: new ProtocolError('bad_frame', `${field} ${error?.message ?? 'is invalid'}`) }
      }
    })
  },
  { name: 'validation', fastify: '5.x' },
)
