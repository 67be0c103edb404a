import closeWithGrace from 'close-with-grace'
import { ConfigError, isSet, readConfig } from './base/config.ts'
import { type Logger, openLogger } from './base/logger.ts'
import { checkOpenFiles, openFileLimit } from './base/open-files.ts'
import { type StartedNode, startNode } from './start-node.ts'
import { RedisSetupError } from './store/redis/connection/check-server.ts'

/** The longest shutdown, ms. After it the process exits. */
const closeMs = 10_000

/**
 * Runs one node until SIGTERM or SIGINT, also during the start. Exit code 2 means a wrong configuration, of the node or
 * of its Redis; 1 means any other failure.
 */
export async function runNode(): Promise<void> {
  let node: StartedNode | undefined
  let log: Logger | undefined
  // Before the start: as process 1 of a container, a process without a handler never gets SIGTERM.
  const grace = closeWithGrace(
    { delay: closeMs, logger: false, onSecondError: error => log?.error({ err: error }, 'second error: exiting') },
    async ({ err, signal }) => {
      if (err) log?.fatal({ err }, 'unexpected error: the node shuts down')
      else log?.info({ signal }, 'the node shuts down')
      await node?.close()
    },
  )
  endEarlyHandler()
  try {
    const config = readConfig()
    const scarce = checkOpenFiles(isSet('MAX_CONNECTIONS'), config, openFileLimit())
    log = openLogger(config.logLevel)
    if (scarce) log.warn(scarce)
    node = await startNode(config, { log })
  } catch (error) {
    grace.uninstall()
    process.exitCode = error instanceof ConfigError || error instanceof RedisSetupError ? 2 : 1
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  }
}

/** Removes the handler that bin/aimessage.js sets until a node has its own. */
function endEarlyHandler(): void {
  for (const handler of process.listeners('SIGTERM'))
    if (handler.name === 'endBeforeStart') process.removeListener('SIGTERM', handler)
}
