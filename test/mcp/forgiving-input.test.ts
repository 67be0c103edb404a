import t from 'tap'
import type { TObject } from 'typebox'
import { Check } from 'typebox/schema'
import { forgive } from '../../src/mcp/forgiving-input.ts'
import { tools } from '../../src/mcp/tools.ts'

const text = 'given'
/** A right value for each type of argument. */
const values: Record<string, unknown> = { string: text, integer: 3, boolean: true, array: ['one', 'two'] }
const typeOf = (schema: object): string => String(Reflect.get(schema, 'type'))
const requiredOf = (input: TObject) =>
  Object.fromEntries((input.required ?? []).map((name: string) => [name, values.string]))

for (const [name, { input }] of Object.entries<{ input: TObject }>(tools)) {
  const fits = (given: unknown) => Check({ ...input, additionalProperties: false }, given)
  const required = requiredOf(input)
  const optional = Object.entries(input.properties).filter(([argument]) => !(argument in required))
  t.test(`18.4 ${name}: null and an empty text are as an argument that is left out`, async t => {
    t.same(forgive(input, undefined), {})
    for (const [argument] of optional) {
      for (const nothing of [null, '', ' ', undefined])
        t.same(
          forgive(input, { ...required, [argument]: nothing }),
          required,
          `${argument}: ${JSON.stringify(nothing)}`,
        )
    }
  })

  t.test(`18.4 ${name}: a value as text is as the value`, async t => {
    for (const [argument, schema] of optional) {
      const value = values[typeOf(schema)]
      const right = { ...required, [argument]: value }
      t.same(forgive(input, right), right)
      const asText = typeof value === 'string' ? value : JSON.stringify(value)
      t.same(forgive(input, { ...required, [argument]: asText }), right, argument)
      t.ok(fits(forgive(input, { ...required, [argument]: asText })) || argument === 'refuse')
    }
  })

  t.test(`18.4 ${name}: what a model must give is not changed`, async t => {
    for (const argument of Object.keys(required))
      for (const value of ['', '5', '[1]', null, 5])
        t.same(forgive(input, { ...required, [argument]: value }), { ...required, [argument]: value })
    t.same(forgive(input, { ...required, other: null }), { ...required, other: null }, 'an unknown argument stays')
  })
}

t.test('18.4 a number beyond its limits is moved to the limit', async t => {
  const { input } = tools.wait_for_messages
  t.same(forgive(input, { timeout_s: 9_000 }), { timeout_s: 50 })
  t.same(forgive(input, { timeout_s: '-3' }), { timeout_s: 0 })
  t.same(forgive(tools.list_agents.input, { limit: 0 }), { limit: 1 })
  t.same(forgive(tools.read_messages.input, { ids: 'one', done: '["a", null, ""]' }), { ids: ['one'], done: ['a'] })
  t.same(forgive(tools.read_messages.input, { ids: '[broken' }), { ids: '[broken' }, 'the schema refuses it')
})
