import type { Static } from 'typebox'
import * as Type from 'typebox'
import { Compile } from 'typebox/schema'
import { lazy } from '../util/lazy.ts'
import { limits } from './limits.ts'

export const capabilitySource = '^[a-z0-9][a-z0-9._-]{0,31}$'
export const Capability = Type.String({
  pattern: capabilitySource,
  description: 'a tag for an ability of an agent: 1 to 32 of a-z 0-9 . _ -, first a letter or digit',
})

/** An agent's description of itself: docs/E2E.md section 14. Unknown members are ignored. */
export const CardContent = Type.Object({
  title: Type.String({ minLength: 1, maxLength: 80 }),
  description: Type.Optional(Type.String({ maxLength: 500 })),
  version: Type.Optional(Type.String({ minLength: 1, maxLength: 32 })),
  capabilities: Type.Array(Capability, { maxItems: limits.maxCapabilities, uniqueItems: true }),
  acceptsRequests: Type.Boolean(),
})
export type CardContent = Static<typeof CardContent>

const validator = lazy(() => Compile(CardContent))
export const isCardContent = (value: unknown): value is CardContent => validator().Check(value)
