import { asError } from '../../util/as-error.ts'
import { sleep } from '../../util/signal.ts'
import { NotOpenError, RequestRefusedError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Inbox, Taken } from '../inbox/inbox.ts'
import type { Attendance } from '../inbox/listener-lease.ts'
import type { Content } from '../messages/content.ts'
import type { MessageView } from '../messages/message.ts'
import type { Requests } from './requests.ts'

/** A request in a handler's hand. */
export type IncomingRequest = MessageView & {
  /** Aborts when the asker gives up or its time is over: nobody waits for the answer then. */
  signal: AbortSignal
  /** Sends a part of the answer ahead. */
  part(content: Content): Promise<void>
}

/** What it returns is the reply. A `RequestRefusedError` that it throws is told to the asker, of anything else only that it failed. */
export type RequestHandler = (request: IncomingRequest) => Content | Promise<Content>

export type HandlerOptions = {
  /** Requests that are worked on at once; default 16. The rest wait, in order. */
  concurrency?: number
}

type Parts = { context: ClientContext; inbox: Inbox; requests: Requests; attendance: Attendance }

const defaultConcurrency = 16

/**
 * Gives requests to a handler for as long as `signal` lets it. A process that ends before it answered gives the request to the next one, marked
 * `repeated`. Rejects with what made listening pointless.
 */
export async function handleRequests(
  parts: Parts,
  handler: RequestHandler,
  { concurrency = defaultConcurrency }: HandlerOptions,
  signal: AbortSignal,
): Promise<void> {
  const { inbox, attendance } = parts
  const broken = new AbortController()
  const attending = attendance.attend(signal).catch(error => broken.abort(error))
  const ends = AbortSignal.any([signal, broken.signal])
  const wake = () => inbox.arrived.notify()
  const stopWatching = parts.context.store.onChange(wake)
  ends.addEventListener('abort', wake, { once: true })
  const working = new Set<Promise<void>>()
  inbox.addHandler()
  try {
    while (!ends.aborted) {
      const { version } = inbox.arrived
      const taken = working.size < concurrency ? await inbox.take('requests') : undefined
      if (!taken) await inbox.arrived.after(version)
      else start(working, handle(parts, handler, taken, ends), wake)
    }
  } finally {
    inbox.removeHandler()
    stopWatching()
    ends.removeEventListener('abort', wake)
    await Promise.all([attending, ...working])
  }
  broken.signal.throwIfAborted()
}

function start(working: Set<Promise<void>>, work: Promise<void>, done: () => void): void {
  working.add(work)
  void work.finally(() => {
    working.delete(work)
    done()
  })
}

/** Never rejects: what cannot be answered is given back, and comes again. */
async function handle(
  { context, requests }: Parts,
  handler: RequestHandler,
  { message, giveBack }: Taken,
  ends: AbortSignal,
): Promise<void> {
  const withdrawn = requests.working(message.id)
  const done = new AbortController()
  const signal = AbortSignal.any([withdrawn.signal, ends])
  sleep(Math.max(0, (message.deadline ?? 0) - context.now()), AbortSignal.any([done.signal, ends])).then(
    () => withdrawn.abort(tooLate()),
    () => {},
  )
  try {
    const { ack: _ack, ...view } = message
    const request = { ...view, signal, part: (content: Content) => requests.part(message, content) }
    await answer(requests, request, handler, ends)
    // One that came too late to be answered is done with as well.
    if (!ends.aborted) await message.ack()
  } catch (error) {
    if (!context.closing.aborted) context.events.emit('failed', { error: asError(error) })
  } finally {
    done.abort()
    requests.worked(message.id)
    giveBack()
  }
}

async function answer(
  requests: Requests,
  request: IncomingRequest,
  handler: RequestHandler,
  ends: AbortSignal,
): Promise<void> {
  if (request.signal.aborted) return
  try {
    const content = await handler(request)
    if (!ends.aborted) await requests.reply(request, content)
  } catch (error) {
    if (ends.aborted || error instanceof NotOpenError) return
    await requests.refuse(request, refusalOf(error)).catch(ignoreNotOpen)
  }
}

const tooLate = () => new RequestRefusedError('too_late', 'nobody waits for the answer any more')

const refusalOf = (error: unknown): { code: string; message: string } =>
  error instanceof RequestRefusedError
    ? { code: error.code, message: error.message }
    : { code: 'failed', message: 'the request could not be answered' }

function ignoreNotOpen(error: unknown): void {
  if (!(error instanceof NotOpenError)) throw error
}
