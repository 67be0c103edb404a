import fc, { type Arbitrary } from 'fast-check'

/** Values that have broken parsers, validators and the code after them. */
const oddities: readonly unknown[] = [
  null,
  true,
  '',
  ' ',
  '\u0000',
  '\r\nx: y',
  '\u001b[2J',
  '\ud800',
  '\u202e',
  '__proto__',
  'constructor',
  'toString',
  '../../x',
  'a:b',
  'a*',
  '{a}',
  'A'.repeat(5_000),
  '='.repeat(8),
  -1,
  -0,
  0.1,
  1e308,
  2 ** 31,
  2 ** 53,
  Number.MAX_SAFE_INTEGER,
  [],
  {},
  [[[[[[]]]]]],
  { __proto__: null, id: 1 },
]

/** Texts in place of a value that `JSON.stringify` does not write: some parse, others end the connection. */
const rawValues = ['9007199254740993', '1e400', '-1e400', '"\\ud800"', '"\\u0000"', '1E2', '-0', '[[[[1]]]]']
const fatalValues = ['{"__proto__":{"x":1}}', '01', 'NaN', '.5', '\ufeff1', '[[[[[[[[1]]]]]]]]']

export const oddValue: Arbitrary<unknown> = fc.constantFrom(...oddities)

type Change = (value: Readonly<Record<string, unknown>>) => string

const entriesOf = (value: Readonly<Record<string, unknown>>, at: number): [string, unknown][] => {
  const entries = Object.entries(value)
  const cut = entries.length === 0 ? 0 : at % entries.length
  return [...entries.slice(cut), ...entries.slice(0, cut)]
}
const object = (entries: readonly (readonly [string, unknown])[]): string => JSON.stringify(Object.fromEntries(entries))
const member = ([name, value]: readonly [string, unknown]): string => `${JSON.stringify(name)}:${JSON.stringify(value)}`

const withRaw = (raws: readonly string[]): Arbitrary<Change> =>
  fc.tuple(fc.nat(20), fc.constantFrom(...raws)).map(
    ([at, raw]): Change =>
      value => {
        const [[name] = ['x'], ...rest] = entriesOf(value, at)
        return `{${[`${JSON.stringify(name)}:${raw}`, ...rest.map(member)].join()}}`
      },
  )

/** Changes one field of a value and encodes it: the field is missing, odd, repeated, or unknown. */
const change: Arbitrary<Change> = fc.oneof(
  fc.nat(20).map(
    (at): Change =>
      value =>
        object(entriesOf(value, at).slice(1)),
  ),
  fc.tuple(fc.nat(20), oddValue).map(
    ([at, odd]): Change =>
      value => {
        const [[name] = ['x'], ...rest] = entriesOf(value, at)
        return object([[name, odd], ...rest])
      },
  ),
  withRaw(rawValues),
  fc.tuple(fc.nat(20), oddValue).map(
    ([at, odd]): Change =>
      value => {
        const [first = ['x', 1] as const, ...rest] = entriesOf(value, at)
        return `{${[member(first), ...rest.map(member), member([first[0], odd])].join()}}`
      },
  ),
  fc.constantFrom('hasOwnProperty', 'toString', '', 'extra').map(
    (name): Change =>
      value => {
        return `{${[...Object.entries(value).map(member), `${JSON.stringify(name)}:{"x":1}`].join()}}`
      },
  ),
)

const spoiltBy = (value: Arbitrary<unknown>, changes: Arbitrary<Change>): Arbitrary<string> =>
  fc
    .tuple(value, changes)
    .map(([whole, spoil]) => spoil(typeof whole === 'object' && whole !== null ? { ...whole } : { value: whole }))

/** Texts of values with an error. */
export const spoilt = (value: Arbitrary<unknown>): Arbitrary<string> => spoiltBy(value, change)

/** Texts of values with an error that ends the connection. */
export const ruined = (value: Arbitrary<unknown>): Arbitrary<string> =>
  fc.oneof(spoiltBy(value, withRaw(fatalValues)), torn(value.map(whole => JSON.stringify(whole))))

/** The text of a value, truncated, doubled, or with a changed character. */
export const torn = (text: Arbitrary<string>): Arbitrary<string> =>
  fc.tuple(text, fc.nat(), fc.constantFrom('', '}', '"', '\\', '{"', '\u0000', '[')).map(([whole, at, put]) => {
    const cut = at % (whole.length + 1)
    return whole.slice(0, cut) + put + whole.slice(cut + (at % 3))
  })
