import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/schema'
import { Convert } from 'typebox/value'
import { ProtocolError } from '../../../protocol/errors.ts'

/** The same validator as for frames. Only a query is converted, since it is text; a body must be of the right types itself. */
export const validation = fastifyPlugin(
  async (app: FastifyInstance) => {
    app.setValidatorCompiler<TSchema>(({ schema, httpPart }) => {
      const validator = Compile(schema)
      return (input: unknown) => {
        const value = httpPart === 'querystring' ? Convert(schema, input) : input
        if (validator.Check(value)) return { value }
        const [, [error]] = validator.Errors(value)
        const field = error?.instancePath.slice(1).replaceAll('/', '.') || httpPart
        return { error: new ProtocolError('bad_frame', `${field} ${error?.message ?? 'does not fit'}`) }
      }
    })
  },
  { name: 'validation', fastify: '5.x' },
)
