/** The position of the next page; without a cursor the first page. */
type Next = { cursor?: string }

/**
 * Iterates over the pages of a listing and fetches each page on demand. A page may be empty although another follows.
 * A server that answers with a cursor that leads no further would keep a client busy without end: `repeats` returns the
 * error to throw then. Begins behind the cursor `after`.
 */
export async function* eachPage<Page extends { cursor: string | null }>(
  fetch: (next: Next) => Promise<Page>,
  repeats: () => Error,
  after?: string,
): AsyncGenerator<Page, void, undefined> {
  let next: Next | undefined = after === undefined ? {} : { cursor: after }
  while (next) {
    const page: Page = await fetch(next)
    if (page.cursor !== null && next.cursor !== undefined && page.cursor <= next.cursor) throw repeats()
    yield page
    next = page.cursor === null ? undefined : { cursor: page.cursor }
  }
}
