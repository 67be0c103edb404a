import { createHmac } from 'node:crypto'
import { encodeJsonLine } from '../../util/escape.ts'
import { CliError, usageError } from '../base/failure.ts'
import { messageJson } from '../text/message-text.ts'
import type { Deliver } from './deliver.ts'

/** How long the receiver may take to answer, ms. */
const timeoutMs = 30_000
const minSecretChars = 16

/**
 * Returns `t=SECONDS,v1=HEX`, the HMAC-SHA-256 of `SECONDS.BODY` under the secret. The receiver must refuse old times
 * and compare in constant time.
 */
export function signature(secret: string, seconds: number, body: string): string {
  const hmac = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')
  return `t=${seconds},v1=${hmac}`
}

/**
 * Posts each message as JSON. An answer of 2xx accepts the message.
 * @throws {CliError} `usage` for an invalid URL or a secret that is too short
 */
export function webhookDeliver(url: string, secret: string | undefined): Deliver {
  const target = URL.canParse(url) ? new URL(url) : undefined
  if (target?.protocol !== 'https:' && target?.protocol !== 'http:')
    throw usageError(`--webhook ${url} is not an http(s) URL`)
  if (secret === undefined || secret.length < minSecretChars) {
    throw usageError(`--webhook signs with AIMESSAGE_WEBHOOK_SECRET: set it to at least ${minSecretChars} characters`)
  }
  return async (message, signal) => {
    const body = encodeJsonLine(messageJson(message))
    const headers = {
      'Content-Type': 'application/json',
      'AIMessage-Signature': signature(secret, Math.floor(Date.now() / 1_000), body),
    }
    const stop = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    const answer = await fetch(target, { method: 'POST', body, headers, signal: stop, redirect: 'error' })
    await answer.body?.cancel()
    if (!answer.ok) throw new CliError('fault', 'webhook_failed', `the webhook answered ${answer.status}`)
  }
}
