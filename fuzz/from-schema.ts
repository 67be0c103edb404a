import fc, { type Arbitrary } from 'fast-check'
import type { TSchema } from 'typebox'

/** The part of JSON Schema that the tables use. */
type Shape = {
  type?: string
  const?: unknown
  anyOf?: readonly Shape[]
  properties?: Readonly<Record<string, Shape>>
  required?: readonly string[]
  items?: Shape
  maxItems?: number
  pattern?: string
  minimum?: number
  maximum?: number
}

/** Values that the node under test knows, by the name of their field. */
export type Known = Readonly<Record<string, readonly unknown[]>>

/** The longest generated text and list: other tests cover the bounds. */
const maxChars = 2_000
const maxListed = 3

/** Generates values that fit a schema of the tables. Half of the fields take a known value if there is one. */
export const fromSchema = (schema: TSchema, known: Known): Arbitrary<unknown> => fromShape(schema, known)

function fromShape(shape: Shape, known: Known): Arbitrary<unknown> {
  if (shape.const !== undefined) return fc.constant(shape.const)
  if (shape.anyOf) return fc.oneof(...shape.anyOf.map(each => fromShape(each, known)))
  switch (shape.type) {
    case 'object':
      return objectFrom(shape, known)
    case 'array':
      return fc.array(fromShape(shape.items ?? {}, known), {
        maxLength: Math.min(shape.maxItems ?? maxListed, maxListed),
      })
    case 'string':
      return shape.pattern === undefined ? fc.string({ maxLength: 40 }) : fromPattern(shape.pattern)
    case 'integer':
    case 'number':
      return fc.integer({ min: shape.minimum ?? 0, max: Math.min(shape.maximum ?? 1_000, Number.MAX_SAFE_INTEGER) })
    case 'boolean':
      return fc.boolean()
    default:
      return fc.constant(null)
  }
}

function objectFrom({ properties = {}, required = [] }: Shape, known: Known): Arbitrary<unknown> {
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, shape]) => [name, fieldFrom(name, shape, known)]),
  )
  return fc.record(fields, { requiredKeys: Object.keys(fields).filter(name => required.includes(name)) })
}

function fieldFrom(name: string, shape: Shape, known: Known): Arbitrary<unknown> {
  const values = known[name]
  return values && shape.const === undefined
    ? fc.oneof(fc.constantFrom(...values), fromShape(shape, known))
    : fromShape(shape, known)
}

/** Matches `^[class]{from,to}$`, the form of most patterns of the tables; fast-check generates the others. */
function fromPattern(pattern: string): Arbitrary<string> {
  const [, charClass, from, to] = /^\^\[([^\]]+)\]\{(\d+)(?:,(\d+))?\}\$$/.exec(pattern) ?? []
  if (charClass === undefined) return fc.stringMatching(new RegExp(pattern))
  const minLength = Number(from)
  const alphabet = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-'].filter(char =>
    new RegExp(`[${charClass}]`).test(char),
  )
  const maxLength = Math.max(minLength, Math.min(Number(to ?? from), maxChars))
  return fc.string({ unit: fc.constantFrom(...alphabet), minLength, maxLength })
}
