import { asError } from '../../util/as-error.ts'
import { sleep } from '../../util/signal.ts'
import { NotOpenError, RequestRefusedError } from '../base/errors.ts'
import type { ClientContext } from '../connection/client-context.ts'
import type { Inbox, Taken } from '../inbox/inbox.ts'
import type { ListenerLease } from '../inbox/listener-lease.ts'
import type { Content } from '../messages/content.ts'
import type { MessageView } from '../messages/message.ts'
import type { Requests } from './requests.ts'

/** A request as its handler gets it. */
export type IncomingRequest = MessageView & {
  /** Aborts when the peer withdraws the request or its deadline has passed: a reply would come too late. */
  signal: AbortSignal
  /** Sends a part of the answer before the reply. */
  part(content: Content): Promise<void>
}

/**
 * Returns the reply. The peer gets the code and text of a thrown `RequestRefusedError`, and of any other error only
 * that the handler failed.
 */
export type RequestHandler = (request: IncomingRequest) => Content | Promise<Content>

export type HandlerOptions = {
  /** The number of requests handled at the same time; default 16. The others wait, in order. */
  concurrency?: number
}

type HandlerContext = { context: ClientContext; inbox: Inbox; requests: Requests; listenerLease: ListenerLease }

const defaultConcurrency = 16

/**
 * Passes requests to a handler until `signal` aborts. If the process ends before it has replied, the next process gets
 * the request, marked `repeated`.
 * @throws the error that ended listening for good
 * @internal
 */
export async function handleRequests(
  parts: HandlerContext,
  handler: RequestHandler,
  { concurrency = defaultConcurrency }: HandlerOptions,
  signal: AbortSignal,
): Promise<void> {
  const { inbox, listenerLease } = parts
  const broken = new AbortController()
  const listening = listenerLease.keepListening(signal).catch(error => broken.abort(error))
  const ends = AbortSignal.any([signal, broken.signal])
  const wake = () => inbox.arrived.notify()
  const stopWatching = parts.context.store.onChange(wake)
  ends.addEventListener('abort', wake, { once: true })
  const working = new Set<Promise<void>>()
  inbox.addHandler()
  try {
    for (;;) {
      const taken = await inbox.arrived.until(async () =>
        ends.aborted ? 'ended' : working.size < concurrency ? inbox.take('requests') : undefined,
      )
      if (taken === 'ended') break
      start(working, handle(parts, handler, taken, ends), wake)
    }
  } finally {
    inbox.removeHandler()
    stopWatching()
    ends.removeEventListener('abort', wake)
    await Promise.all([listening, ...working])
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

/** Never rejects. A request whose handling failed on this side is given back, and comes again. */
async function handle(
  { context, requests }: HandlerContext,
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
    // Acknowledged also if it came too late for a reply.
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

const tooLate = () => new RequestRefusedError('too_late', 'the deadline of the request has passed')

const refusalOf = (error: unknown): { code: string; message: string } =>
  error instanceof RequestRefusedError
    ? { code: error.code, message: error.message }
    : { code: 'failed', message: 'the request could not be answered' }

/** For a reply or refusal to a request that its sender has withdrawn or stopped waiting for. */
export function ignoreNotOpen(error: unknown): void {
  if (!(error instanceof NotOpenError)) throw error
}
