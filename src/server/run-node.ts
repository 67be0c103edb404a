import closeWithGrace from 'close-with-grace'
import { ConfigError, readConfig } from './base/config.ts'
import { openLogger } from './base/logger.ts'
import { checkOpenFiles, openFileLimit } from './base/open-files.ts'
import { startNode } from './start-node.ts'
import { RedisSetupError } from './store/redis/connection/check-server.ts'

/** The longest shutdown, ms. After it the process exits. */
const closeMs = 10_000

/** Runs one node until SIGTERM or SIGINT. Exit code 2 means a wrong configuration, of
 * the node or of its Redis; 1 means any other failure. */
export async function runNode(): Promise<void> {
  try {
    const config = readConfig()
    const scarce = checkOpenFiles(process.env, config, openFileLimit())
    const log = openLogger(config.logLevel)
    if (scarce) log.warn(scarce)
    const node = await startNode(config, { log })
    closeWithGrace({ delay: closeMs, logger: log }, async ({ err, signal }) => {
      if (err) log.fatal({ err }, 'unexpected error: the node shuts down')
      else log.info({ signal }, 'the node shuts down')
      await node.close()
    })
  } catch (error) {
    process.exitCode = error instanceof ConfigError || error instanceof RedisSetupError ? 2 : 1
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  }
}
