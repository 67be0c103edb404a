import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { checkDomain, parseServerUrl } from '../../client/connection/server-url.ts'
import type { Secret } from '../../client/node.ts'
import { usageError } from './failure.ts'
import { readSecret } from './secret.ts'

export const defaultServer = 'ws://localhost:8080'
export const defaultAgent = 'default'

/** A directory name without a path. Lower case, because some file systems ignore case. */
const agentPattern = /^[a-z0-9][a-z0-9._-]{0,63}$/

/** The options of every command, as given on the command line or in the environment. */
export type SharedOptions = {
  server?: string
  domain?: string
  agent?: string
  home?: string
  caFile?: string
  keyFile?: string
  json?: boolean
}

/** The options with defaults, checked. */
export type Settings = {
  server: string
  domain?: string
  caFile?: string
  agent: string
  /** The directory of this agent's state. */
  directory: string
  /** The secret that encrypts the state, if one was given. */
  secret?: Secret
}

const homeHint = join('~', '.aimessage')

export function addSharedOptions(program: Command): void {
  program
    .addOption(new Option('--server <url>', `server to talk to (default: ${defaultServer})`).env('AIMESSAGE_SERVER'))
    .option('--domain <name>', "the server's domain, if it is not the host of its URL")
    .option('--agent <name>', `name of the local identity (default: ${defaultAgent})`)
    .addOption(
      new Option('--home <directory>', `directory of all identities (default: ${homeHint})`).env('AIMESSAGE_HOME'),
    )
    .addOption(new Option('--key-file <file>', '32 random bytes that encrypt the state').env('AIMESSAGE_KEY_FILE'))
    .option('--ca-file <pem>', 'certificates of a private authority that wss trusts')
    .option('--json', 'print only JSON on standard output, one object per line')
}

/**
 * Adds the defaults and checks the options. An empty variable counts as not set.
 * @throws {CliError} {ServerUrlError} both are usage errors.
 */
export function readSettings({ server, domain, agent = defaultAgent, home, caFile, keyFile }: SharedOptions): Settings {
  const url = server || defaultServer
  parseServerUrl(url)
  if (domain !== undefined) checkDomain(domain)
  if (!agentPattern.test(agent)) {
    throw usageError(
      `--agent ${JSON.stringify(agent)} is not a valid name: use 1 to 64 of a-z 0-9 . _ - and start with a letter or digit`,
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
        : 'is not a readable PEM file of certificates'
    throw usageError(`--ca-file ${caFile} ${why}`)
  }
}

/** @throws {InvalidArgumentError} */
export function parseCount(text: string): number {
  const count = Number(text)
  if (/^\d{1,9}$/.test(text) && count >= 1) return count
  throw new InvalidArgumentError('Use a whole number from 1 to 999999999.')
}

/** One day: `listen` is for longer waits, and timers hold at most 24 days. */
const maxSeconds = 86_400

/** @returns milliseconds. @throws {InvalidArgumentError} */
export function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (/^\d{1,5}(?:\.\d{1,3})?$/.test(text) && seconds <= maxSeconds) return seconds * 1_000
  throw new InvalidArgumentError(`Use seconds from 0 to ${maxSeconds}, like 30 or 0.5.`)
}
