import * as Type from 'typebox'
import { Compile } from 'typebox/schema'
import { lazy } from '../util/lazy.ts'
import { limits } from './limits.ts'

export const capabilitySource = '^[a-z0-9][a-z0-9._-]{0,31}$'
/** @internal */
export const Capability = Type.String({
  pattern: capabilitySource,
  description: 'a tag for an ability of an agent: 1 to 32 of a-z 0-9 . _ -, first a letter or digit',
})

/**
 * An agent's description of itself: docs/E2E.md section 14. Unknown members are ignored.
 * @internal
 */
export const CardContent = Type.Object({
  title: Type.String({ minLength: 1, maxLength: 80 }),
  description: Type.Optional(Type.String({ maxLength: 500 })),
  version: Type.Optional(Type.String({ minLength: 1, maxLength: 32 })),
  capabilities: Type.Array(Capability, { maxItems: limits.maxCapabilities, uniqueItems: true }),
  acceptsRequests: Type.Boolean(),
})
/** The content of a card, as `CardContent` checks it. */
export type CardContent = {
  /** 1 to 80 characters. */
  title: string
  /** At most 500 characters. */
  description?: string
  /** 1 to 32 characters. */
  version?: string
  /** Tags of 1 to 32 of a-z 0-9 . _ -, each once. */
  capabilities: string[]
  acceptsRequests: boolean
}

const validator = lazy(() => Compile(CardContent))
export const isCardContent = (value: unknown): value is CardContent => validator().Check(value)
