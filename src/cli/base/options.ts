import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { checkDomain, parseServerUrl } from '../../client/connection/server-url.ts'
import type { Secret } from '../../client/node.ts'
import { readSecret } from '../input/secret.ts'
import { usageError } from './failure.ts'

export const defaultServer = 'ws://localhost:8080'
export const defaultAgent = 'default'

/** Names a directory, and nothing above or below it. Lower case, for file systems that see no difference. */
const agentPattern = /^[a-z0-9][a-z0-9._-]{0,63}$/

/** What every command may be given, as the command line and the environment say it. */
export type SharedOptions = {
  server?: string
  domain?: string
  agent?: string
  home?: string
  caFile?: string
  keyFile?: string
  json?: boolean
}

/** The same, complete and checked. */
export type Settings = {
  server: string
  domain?: string
  caFile?: string
  agent: string
  /** Where this agent's state is. */
  directory: string
  /** What encrypts it, where something was given. */
  secret?: Secret
}

const homeHint = join('~', '.aimessage')

export function addSharedOptions(program: Command): void {
  program
    .addOption(new Option('--server <url>', `server to talk to (default: ${defaultServer})`).env('AIMESSAGE_SERVER'))
    .option('--domain <name>', "the server's domain, where it is not the host of its URL")
    .option('--agent <name>', `which local identity (default: ${defaultAgent})`)
    .addOption(
      new Option('--home <directory>', `where identities are kept (default: ${homeHint})`).env('AIMESSAGE_HOME'),
    )
    .addOption(new Option('--key-file <file>', '32 random bytes that encrypt the state').env('AIMESSAGE_KEY_FILE'))
    .option('--ca-file <pem>', 'certificates of a private authority to trust for wss')
    .option('--json', 'one JSON object a line on standard output, and nothing else there')
}

/**
 * Fills in defaults and checks. An empty variable counts as not set.
 * @throws {CliError} {ServerUrlError} both of them usage errors.
 */
export function readSettings({ server, domain, agent = defaultAgent, home, caFile, keyFile }: SharedOptions): Settings {
  const url = server || defaultServer
  parseServerUrl(url)
  if (domain !== undefined) checkDomain(domain)
  if (!agentPattern.test(agent)) {
    throw usageError(
      `--agent ${JSON.stringify(agent)} is no name: use 1 to 64 of a-z 0-9 . _ - and start with a letter or digit`,
    )
  }
  if (caFile !== undefined) checkCertificates(caFile)
  const secret = readSecret(keyFile)
  return {
    server: url,
    agent,
    directory: join(home ? resolve(home) : join(homedir(), '.aimessage'), agent),
    ...(domain !== undefined && { domain }),
    ...(caFile !== undefined && { caFile }),
    ...(secret && { secret }),
  }
}

function checkCertificates(caFile: string): void {
  try {
    new X509Certificate(readFileSync(caFile))
  } catch (error) {
    const why =
      error instanceof Error && 'code' in error && error.code === 'ENOENT'
        ? 'does not exist'
        : 'is no PEM file of certificates that can be read'
    throw usageError(`--ca-file ${caFile} ${why}`)
  }
}

/** @throws {InvalidArgumentError} */
export function parseCount(text: string): number {
  const count = Number(text)
  if (/^\d{1,9}$/.test(text) && count >= 1) return count
  throw new InvalidArgumentError('Use a whole number from 1 to 999999999.')
}

/** A day: longer waits are what `listen` is for, and timers end at 24 days. */
const maxSeconds = 86_400

/** @returns milliseconds. @throws {InvalidArgumentError} */
export function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (/^\d{1,5}(?:\.\d{1,3})?$/.test(text) && seconds <= maxSeconds) return seconds * 1_000
  throw new InvalidArgumentError(`Use seconds from 0 to ${maxSeconds}, like 30 or 0.5.`)
}
