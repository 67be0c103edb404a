import { StateError } from '../../../src/client/state/state-error.ts'
import type { StateStore } from '../../../src/client/state/state-store.ts'

/** Opens the state of one test again: two returned stores behave like two processes of an agent. */
export type OpenStore = () => Promise<StateStore>

export interface ContractCase {
  name: string
  run: (open: OpenStore) => Promise<void>
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (value: Uint8Array | undefined): string | undefined => value && new TextDecoder().decode(value)

/** Throws plain errors, because the same cases run in a browser without a test runner. */
function same(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (a !== b) throw new Error(`${what}: ${a} is not ${b}`)
}

async function failsWith(code: string, call: () => Promise<unknown>): Promise<void> {
  try {
    await call()
  } catch (error) {
    same(error instanceof StateError ? error.code : String(error), code, 'the error')
    return
  }
  throw new Error(`it should have failed with ${code}`)
}

async function fill(store: StateStore, ...keys: string[]): Promise<void> {
  await store.transaction(tx => {
    for (const key of keys) tx.put(key, bytes(`value of ${key}`))
  })
}

const peek = (store: StateStore, key: string) => store.read(async reader => text(await reader.get(key)))

async function increment(store: StateStore, times: number): Promise<void> {
  const one = () =>
    store.transaction(async tx => {
      const value = Number(text(await tx.get('counter')) ?? 0)
      // Gives other transactions the chance to run between the read and the write.
      await new Promise(resolve => queueMicrotask(() => resolve(undefined)))
      tx.put('counter', bytes(String(value + 1)))
    })
  await Promise.all(Array.from({ length: times }, one))
}

function change(store: StateStore): Promise<void> {
  return new Promise(resolve => {
    const end = store.onChange(() => {
      end()
      resolve()
    })
  })
}

export const contract: ContractCase[] = [
  {
    name: 'what a transaction put is there for the next one and for the next life',
    run: async open => {
      const store = await open()
      same(await store.transaction(tx => tx.put('a', bytes('1'))), undefined, 'the result')
      same(await store.transaction(async tx => text(await tx.get('a'))), '1', 'the next transaction')
      await store.close()
      const next = await open()
      same(await peek(next, 'a'), '1', 'the next life')
      same(await peek(next, 'b'), undefined, 'a key that was never put')
      await next.close()
    },
  },
  {
    name: 'a work that throws leaves nothing behind, and its error is thrown on',
    run: async open => {
      const store = await open()
      await fill(store, 'kept')
      const failed = store.transaction(async tx => {
        tx.put('new', bytes('x'))
        tx.delete('kept')
        await tx.get('kept')
        throw new RangeError('no')
      })
      // Waits at the same time, so both may share a commit.
      const beside = store.transaction(tx => tx.put('beside', bytes('y')))
      same(await failed.catch(error => error instanceof RangeError && error.message), 'no', 'the error')
      await beside
      const keys = await store.read(async reader => (await reader.list('')).map(([key]) => key))
      same(keys, ['beside', 'kept'], 'the keys')
      await store.close()
    },
  },
  {
    name: 'a transaction sees its own writes in get and in list',
    run: async open => {
      const store = await open()
      await fill(store, 'p/1', 'p/2', 'p/3')
      await store.transaction(async tx => {
        tx.delete('p/1')
        tx.put('p/2', bytes('mine'))
        tx.put('p/4', bytes('mine'))
        same(text(await tx.get('p/1')), undefined, 'a deleted key')
        same(text(await tx.get('p/2')), 'mine', 'a changed key')
        same(
          (await tx.list('p/')).map(([key]) => key),
          ['p/2', 'p/3', 'p/4'],
          'the list',
        )
        same(
          (await tx.list('p/', { limit: 1 })).map(([key]) => key),
          ['p/2'],
          'the list from its first',
        )
        same(
          (await tx.list('p/', { limit: 2, reverse: true })).map(([key]) => key),
          ['p/4', 'p/3'],
          'from its last',
        )
      })
      await store.close()
    },
  },
  {
    name: 'a list is in byte order, of one prefix, and may start, stop and turn anywhere',
    run: async open => {
      const store = await open()
      await fill(store, 'b', 'a/10', 'a/2', 'a/1', 'a', 'a0', 'A/1', 'a/~')
      const list = (prefix: string, options?: { after?: string; limit?: number; reverse?: boolean }) =>
        store.read(async reader => (await reader.list(prefix, options)).map(([key]) => key).join(' '))
      same(await list(''), 'A/1 a a/1 a/10 a/2 a/~ a0 b', 'everything')
      same(await list('a/'), 'a/1 a/10 a/2 a/~', 'a prefix')
      same(await list('a/', { reverse: true }), 'a/~ a/2 a/10 a/1', 'backwards')
      same(await list('a/', { after: 'a/10' }), 'a/2 a/~', 'after a key')
      same(await list('a/', { after: 'a/11' }), 'a/2 a/~', 'after a key that is not there')
      same(await list('a/', { after: 'A' }), 'a/1 a/10 a/2 a/~', 'after a key before the prefix')
      same(await list('a/', { after: 'b' }), '', 'after a key behind the prefix')
      same(await list('a/', { after: 'a/2', reverse: true }), 'a/10 a/1', 'backwards from a key')
      same(await list('a/', { after: 'b', reverse: true }), 'a/~ a/2 a/10 a/1', 'backwards from behind')
      same(await list('a/', { after: 'A', reverse: true }), '', 'backwards from before')
      same(await list('a/', { limit: 2 }), 'a/1 a/10', 'two')
      same(await list('a/', { limit: 2, after: 'a/1', reverse: false }), 'a/10 a/2', 'two after a key')
      same(await list('a/', { limit: 0 }), '', 'none')
      same(await list('c'), '', 'a prefix of nothing')
      await store.close()
    },
  },
  {
    name: 'values are copies: neither side can change what the other holds',
    run: async open => {
      const store = await open()
      const value = bytes('secret')
      await store.transaction(async tx => {
        tx.put('a', value)
        value.fill(0)
        const seen = await tx.get('a')
        seen?.fill(0)
        same(text(await tx.get('a')), 'secret', 'inside')
      })
      await store.read(async reader => (await reader.get('a'))?.fill(0))
      same(await peek(store, 'a'), 'secret', 'outside')
      await store.transaction(tx => tx.put('empty', new Uint8Array()))
      same(await peek(store, 'empty'), '', 'an empty value')
      const large = new Uint8Array(200_000).map((_, index) => index * 7)
      await store.transaction(tx => tx.put('large', large.subarray(1000)))
      const back = await store.read(reader => reader.get('large'))
      same(back && [back.length, back.every((byte, i) => byte === large[i + 1000])], [199_000, true], 'a large value')
      await store.close()
    },
  },
  {
    name: 'transactions follow each other, also those of two stores on one place',
    run: async open => {
      const [one, two] = [await open(), await open()]
      await Promise.all([increment(one, 40), increment(two, 40), increment(one, 20)])
      same(await peek(two, 'counter'), '100', 'the counter')
      await one.close()
      await two.close()
    },
  },
  {
    name: 'a read is of one moment, and is as new as what was promised',
    run: async open => {
      const [one, two] = [await open(), await open()]
      for (let i = 1; i <= 20; i++) {
        const write = one.transaction(tx => {
          tx.put('x', bytes(String(i)))
          tx.put('y', bytes(String(i)))
        })
        const pair = two.read(async reader => {
          const x = text(await reader.get('x'))
          await new Promise(resolve => setTimeout(resolve, 0))
          return [x, text(await reader.get('y'))]
        })
        const [, [x, y]] = await Promise.all([write, pair])
        same(x, y, 'the pair')
        same(await peek(one, 'x'), String(i), 'after the promise')
      }
      await one.close()
      await two.close()
    },
  },
  {
    name: 'closing waits for what has begun, and refuses what comes later',
    run: async open => {
      const store = await open()
      const busy = Promise.all([increment(store, 10), store.read(reader => reader.list(''))])
      await store.close()
      await store.close()
      await busy
      await failsWith('closed', () => store.transaction(() => {}))
      await failsWith('closed', () => store.read(() => {}))
      const next = await open()
      same(await peek(next, 'counter'), '10', 'the counter')
      await next.close()
    },
  },
  {
    name: 'a listener hears of changes made here and elsewhere, until it ends',
    run: async open => {
      const [one, two] = [await open(), await open()]
      const here = change(one)
      await fill(one, 'a')
      await here
      const elsewhere = change(one)
      await fill(two, 'b')
      await elsewhere
      let calls = 0
      const end = one.onChange(() => calls++)
      end()
      const heard = change(one)
      await fill(one, 'c')
      await heard
      same(calls, 0, 'calls after the end')
      await one.close()
      await two.close()
    },
  },
  {
    name: 'a transaction that outlives its work, and keys and values that are none, are refused',
    run: async open => {
      const store = await open()
      const late = await store.transaction(tx => ({ tx }))
      await failsWith('ended', () => late.tx.get('a'))
      await failsWith('ended', async () => late.tx.put('a', bytes('1')))
      for (const key of ['', 'ü', 'a\n', 'k'.repeat(201)]) {
        await failsWith('invalid', () => store.transaction(tx => tx.put(key, bytes('1'))))
      }
      await fill(store, 'k'.repeat(200), "q'; DROP TABLE entry; --", '%_*[a]')
      same((await store.read(reader => reader.list(''))).length, 3, 'odd keys')
      await store.close()
    },
  },
]
