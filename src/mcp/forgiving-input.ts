import type { TObject, TSchema } from 'typebox'

type Values = Record<string, unknown>

/**
 * Returns the arguments of a tool as the schema has them. Frameworks send `null` or an empty text for an argument that
 * they leave out, and some hosts send numbers, booleans and arrays as text. Only optional arguments are changed: a text
 * that the model has to give stays what it is.
 */
export function forgive(input: TObject, given: unknown): unknown {
  if (given === null || given === undefined) return {}
  if (typeof given !== 'object' || Array.isArray(given)) return given
  const required: readonly string[] = input.required ?? []
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]) => {
      const schema = Object.hasOwn(input.properties, name) ? input.properties[name] : undefined
      if (!schema || required.includes(name)) return [[name, value]]
      const read = readAs(schema, value)
      return read === undefined ? [] : [[name, read]]
    }),
  )
}

/** Returns undefined if the argument counts as left out. */
function readAs(schema: TSchema, value: unknown): unknown {
  if (value === null || value === undefined) return undefined
  const text = typeof value === 'string' ? value.trim() : undefined
  if (text === '') return undefined
  switch (typeOf(schema)) {
    case 'integer':
      return withinLimits(schema, text !== undefined && /^-?\d+$/.test(text) ? Number(text) : value)
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : value
    case 'array':
      return readList(text ?? value)
    default:
      return value
  }
}

const typeOf = (schema: TSchema): unknown => Reflect.get(schema, 'type')

/** A longer wait than hosts allow is shortened. */
function withinLimits(schema: TSchema, value: unknown): unknown {
  if (typeof value !== 'number') return value
  const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = schema as Values &
    Partial<Record<'minimum' | 'maximum', number>>
  return Math.min(Math.max(value, minimum), maximum)
}

function readList(value: unknown): unknown {
  const list = typeof value === 'string' ? parseList(value) : value
  return Array.isArray(list) ? list.filter(item => item !== null && item !== '') : list
}

/** A text that is no JSON array is one item. */
function parseList(text: string): unknown {
  if (!text.startsWith('[')) return [text]
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
