/** Where a listing goes on: nothing for its first page. */
export type Next = { cursor?: string }

/** The pages of a listing, each fetched when it is asked for. */
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
