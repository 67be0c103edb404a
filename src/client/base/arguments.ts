import { escapeLine } from '../../util/escape.ts'
import { InvalidArgumentError } from './errors.ts'

/**
 * Checks one value that an application passed. Throws `InvalidArgumentError` if it is wrong.
 * @param name names the value in the error
 */
export type Check = (value: unknown, name: string) => void

/** How much of a wrong text an error shows. */
const maxShown = 40

/** Describes a wrong value. Shows no content of objects: it may be a message or a secret. */
function describe(value: unknown): string {
  if (typeof value === 'string') return `"${escapeLine(value.slice(0, maxShown))}"`
  if (value === null || typeof value !== 'object') return typeof value === 'function' ? 'a function' : String(value)
  return Array.isArray(value) ? 'an array' : 'an object'
}

const fail = (name: string, rule: string, value: unknown): never => {
  throw new InvalidArgumentError(name, `must be ${rule}, not ${describe(value)}`)
}

const checkThat =
  (isRight: (value: unknown) => boolean, rule: string): Check =>
  (value, name) => {
    if (!isRight(value)) fail(name, rule, value)
  }

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const has = (value: unknown, method: string): boolean =>
  isObject(value) && typeof Reflect.get(value, method) === 'function'

export const text = checkThat(value => typeof value === 'string', 'a string')
export const flag = checkThat(value => typeof value === 'boolean', 'true or false')
export const callback = checkThat(value => typeof value === 'function', 'a function')
export const texts = checkThat(
  value => Array.isArray(value) && value.every(item => typeof item === 'string'),
  'an array of strings',
)
export const duration = checkThat(value => typeof value === 'number' && value >= 0, 'a number of milliseconds')

/** Accepts a signal of any realm: a test environment such as jsdom has its own class. */
export const abortSignal = checkThat(
  value => has(value, 'addEventListener') && has(value, 'throwIfAborted') && 'aborted' in Object(value),
  'an AbortSignal',
)

export const stateStore = checkThat(
  value => ['transaction', 'read', 'onChange', 'close'].every(method => has(value, method)),
  'a store, as openDirectoryStore, openIndexedDbStore, openMemoryStore and openEncryptedStore open it (await it)',
)

export const whole = (min: number, max: number = Number.MAX_SAFE_INTEGER): Check => {
  const rule = max === Number.MAX_SAFE_INTEGER ? `from ${min} on` : `from ${min} to ${max}`
  const isInRange = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max
  return checkThat(isInRange, `a whole number ${rule}`)
}

export const oneOf = (...choices: readonly (string | number)[]): Check =>
  checkThat(
    value => choices.some(choice => choice === value),
    choices.map(choice => JSON.stringify(choice)).join(' or '),
  )

/** @param rule says in words what the pattern accepts */
export const matching = (pattern: RegExp, rule: string): Check =>
  checkThat(value => typeof value === 'string' && pattern.test(value), rule)

/** An object with these members. Other members are ignored, as TypeScript does for a variable. */
export const object =
  (members: Readonly<Record<string, Check>>): Check =>
  (value, name) => {
    if (!isObject(value)) return fail(name, 'an object', value)
    for (const [member, check] of Object.entries(members)) check(Reflect.get(value, member), member)
  }

/** Undefined, or what `check` accepts. */
export const optional =
  (check: Check): Check =>
  (value, name) => {
    if (value !== undefined) check(value, name)
  }

export const options = (members: Readonly<Record<string, Check>>): Check =>
  optional(object(Object.fromEntries(Object.entries(members).map(([name, check]) => [name, optional(check)]))))

/** The content of a message: the parts of the type `Content` that a program without types gets wrong. */
export const content: Check = (value, name) => {
  if (typeof value === 'string' || value instanceof Uint8Array) return
  if (!isObject(value) || !('json' in value || 'mediaType' in value)) {
    return fail(name, 'a string, a Uint8Array, { json } or { mediaType, data }', value)
  }
  if ('json' in value) return
  const { data } = value as { data?: unknown }
  if (typeof data !== 'string' && !(data instanceof Uint8Array)) fail('data', 'a string or a Uint8Array', data)
}
