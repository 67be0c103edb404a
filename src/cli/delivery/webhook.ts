import { createHmac } from 'node:crypto'
import { mayBePlain } from '../../client/connection/server-url.ts'
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

/** @throws {CliError} `usage`, unless messages may be posted to this URL */
function parseTarget(url: string, isPlainAllowed: boolean): URL {
  const target = URL.canParse(url) ? new URL(url) : undefined
  if (target?.protocol !== 'https:' && target?.protocol !== 'http:')
    throw usageError(`--webhook ${url} is not an http(s) URL`)
  if (target.username || target.password)
    throw usageError('--webhook must not contain a user name or a password: calls are signed')
  if (target.protocol === 'http:' && !isPlainAllowed && !mayBePlain(target.hostname))
    throw usageError(
      `--webhook ${url} would send decrypted messages unencrypted: write https://${target.host}, or add --plain-webhook`,
    )
  return target
}

type WebhookOptions = {
  secret: string | undefined
  /** Allows http to hosts outside of this machine and of private networks. */
  isPlainAllowed: boolean
}

/**
 * Posts each message as JSON. An answer of 2xx accepts the message.
 * @throws {CliError} `usage` for a URL that is invalid or not private enough, or a secret that is too short
 */
export function webhookDeliver(url: string, { secret, isPlainAllowed }: WebhookOptions): Deliver {
  const target = parseTarget(url, isPlainAllowed)
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
