import t from 'tap'
import { decodeClientFrame, parseObject } from '../../../src/protocol/codec.ts'
import { clientFrames } from '../../../src/protocol/frames.ts'
import { isDomain, parseRecipient, parseUsername } from '../../../src/protocol/names.ts'
import { addressKey, isNetwork } from '../../../src/server/base/address-key.ts'
import { decodeBase64Url } from '../../../src/util/bytes.ts'

const longChars = 131_072
const shortChars = longChars / 16
/** The largest allowed factor for the same characters in one text instead of 16: 1 is linear, 16 is quadratic. */
const maxRatio = 8
/** A long text that costs less is not quadratic: its 10^10 pairs of characters would take seconds. CPU time, µs. */
const worthComparingUs = 20_000
/** Rounds until a measurement counts as not linear: other load distorts some of them, never all. */
const rounds = 10

/** Texts that make patterns backtrack: a long matching run, then a character that does not match. */
const attacks: Record<string, (length: number) => string> = {
  letters: length => `${'a'.repeat(length)}!`,
  dots: length => `${'a.'.repeat(length / 2)}!`,
  dashes: length => `${'a-'.repeat(length / 2)}!`,
  'dots and dashes': length => `${'-.'.repeat(length / 2)}a`,
  ats: length => '@'.repeat(length),
  digits: length => `${'1'.repeat(length)}:`,
  colons: length => ':'.repeat(length),
  slashes: length => '\\'.repeat(length),
  quotes: length => '"'.repeat(length),
  'escaped quotes': length => `"${'\\"'.repeat(length / 2)}`,
  brackets: length => '['.repeat(length),
  spaces: length => `${' '.repeat(length)}x`,
  surrogates: length => '\ud800'.repeat(length),
}

const validators: Record<string, (text: string) => unknown> = {
  username: parseUsername,
  recipient: text => parseRecipient(text, 'localhost'),
  domain: isDomain,
  address: addressKey,
  'address of a proxy': isNetwork,
  base64url: decodeBase64Url,
  JSON: parseObject,
  ...Object.fromEntries(fields()),
}

/** One field of each schema. */
function fields(): [string, (text: string) => unknown][] {
  const bySchema = new Map<string, [string, (text: string) => unknown]>()
  for (const [type, { schema }] of Object.entries(clientFrames)) {
    for (const [field, rule] of Object.entries(schema.properties)) {
      const validate = (text: string) => decodeClientFrame(JSON.stringify({ type, id: 'x', [field]: text }))
      bySchema.set(JSON.stringify(rule), [`${type}.${field}`, validate])
    }
  }
  return [...bySchema.values()]
}

/** Returns the CPU time of the runs, µs. */
function costUs(validate: (text: string) => unknown, text: string, runs: number): number {
  const before = process.cpuUsage()
  for (let run = 0; run < runs; run += 1) attempt(validate, text)
  const { user, system } = process.cpuUsage(before)
  return user + system
}

/** Compares the least costs of all rounds until now: other load, and the collection of garbage, only add to a cost. */
function isLinear(validate: (text: string) => unknown, textOf: (length: number) => string): boolean {
  const [shortText, longText] = [textOf(shortChars), textOf(longChars)]
  let [shorts, long] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  return Array.from({ length: rounds }).some(() => {
    long = Math.min(long, costUs(validate, longText, 1))
    if (long < worthComparingUs) return true
    shorts = Math.min(shorts, costUs(validate, shortText, longChars / shortChars))
    return long <= shorts * maxRatio
  })
}

function attempt(validate: (text: string) => unknown, text: string): void {
  try {
    validate(text)
  } catch {
    // A refusal is correct; only its cost matters here.
  }
}

for (const [name, validate] of Object.entries(validators)) {
  t.test(`${name} takes at most 128 times as long for 16 times the text`, async t => {
    const quadratic = Object.entries(attacks).filter(([, textOf]) => !isLinear(validate, textOf))
    t.same(
      quadratic.map(([attack]) => attack),
      [],
    )
  })
}

// Evidence: L12
t.test('the measurement detects a backtracking pattern', async t => {
  const pattern = /^(?:[a-z]*[a-z]*)!$/
  t.notOk(
    isLinear(
      text => pattern.test(text.slice(0, text.length / 8)),
      length => `${'a'.repeat(length)}?`,
    ),
  )
})
