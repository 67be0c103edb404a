/** The position of the next page; without a cursor the first page. */
type Next = { cursor?: string }

/** Iterates over the pages of a listing and fetches each page on demand. */
export async function* eachPage<Page extends { cursor: string | null }>(
  fetch: (next: Next) => Promise<Page>,
): AsyncGenerator<Page, void, undefined> {
  let next: Next | undefined = {}
  while (next) {
    const page: Page = await fetch(next)
    yield page
    next = page.cursor === null ? undefined : { cursor: page.cursor }
  }
}
