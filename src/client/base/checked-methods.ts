import { CryptoError } from '../../crypto/errors.ts'
import { ProtocolError } from '../../protocol/errors.ts'
import { StateError } from '../state/state-error.ts'
import type { Check } from './arguments.ts'
import { ClientError } from './errors.ts'

/** A method of the public API: how it returns, and the checks of its arguments. */
export type Method = readonly [
  returns: 'value' | 'promise' | 'iterator',
  ...checks: readonly (readonly [string, Check])[],
]
type MethodName<Type> = {
  [Name in keyof Type]: Type[Name] extends (...args: never[]) => unknown ? Name : never
}[keyof Type]

const ownErrors = [ClientError, ProtocolError, CryptoError, StateError] as const
/** Errors that show a caller. Several callers may get one error: it shows the first. */
const withCaller = new WeakSet<Error>()

type Caller = { stack?: string }

/** Captures the stack above `method`. Its text is made only when an error needs it, so this costs a microsecond. */
function captureCaller(method: (...args: never[]) => unknown): Caller {
  const caller: Caller = {}
  // Older browsers cannot.
  if ('captureStackTrace' in Error) Error.captureStackTrace(caller, method)
  return caller
}

/**
 * Adds the stack of the caller to an error of this library. Many are made in an event of a socket, where the stack
 * names no function of the application.
 */
function showCaller(error: unknown, { stack: callers = '' }: Caller): void {
  if (!(error instanceof Error) || !ownErrors.some(Class => error instanceof Class) || withCaller.has(error)) return
  withCaller.add(error)
  const frames = callers.slice(callers.indexOf('\n') + 1)
  const own = error.stack ?? ''
  // An error that was made in the call itself shows the caller already.
  const [first = ''] = frames.split('\n')
  if (first === '' || own.includes(first)) return
  const head = `${error.name}: ${error.message}`
  const within = own.startsWith(head) ? own.slice(head.length) : `\n${own}`
  error.stack = `${head}\n${frames}\n    --- inside the client ---${within}`
}

/**
 * Makes each public method of a class check its arguments, and show its caller in the errors that it throws. The table
 * has every method of the class. A method that returns a promise rejects; an iterator fails at its first step.
 */
export function checkMethods<Type extends object>(
  { prototype }: { prototype: Type },
  methods: Readonly<Record<MethodName<Type> & string, Method>>,
): void {
  for (const [name, method] of Object.entries<Method>(methods)) {
    const property = Object.getOwnPropertyDescriptor(prototype, name)
    Object.defineProperty(prototype, name, { ...property, value: checked(property?.value, method) })
  }
}

function checked(run: (...args: unknown[]) => unknown, [returns, ...checks]: Method) {
  const checkAll = (args: readonly unknown[]) => {
    for (const [at, [name, check]] of checks.entries()) check(args[at], name)
  }
  if (returns === 'value') {
    return function (this: unknown, ...args: unknown[]): unknown {
      checkAll(args)
      return Reflect.apply(run, this, args)
    }
  }
  if (returns === 'iterator') {
    return function iterate(this: unknown, ...args: unknown[]): AsyncGenerator {
      const start = () => {
        checkAll(args)
        return Reflect.apply(run, this, args)
      }
      return passOn(start, captureCaller(iterate))
    }
  }
  return async function call(this: unknown, ...args: unknown[]): Promise<unknown> {
    const caller = captureCaller(call)
    try {
      checkAll(args)
      return await Reflect.apply(run, this, args)
    } catch (error) {
      showCaller(error, caller)
      throw error
    }
  }
}

const isIterable = (value: unknown): value is AsyncIterable<unknown> => Symbol.asyncIterator in Object(value)

async function* passOn(start: () => unknown, caller: Caller): AsyncGenerator {
  try {
    const items = start()
    if (isIterable(items)) yield* items
  } catch (error) {
    showCaller(error, caller)
    throw error
  }
}
