/** Returns a time (ms since 1970) in ISO 8601 with whole seconds, or undefined if `Date` cannot hold it. */
export function isoSeconds(ms: number): string | undefined {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString().replace(/\.\d+Z$/, 'Z')
}
