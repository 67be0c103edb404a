import closeWithGrace from 'close-with-grace'
import { ConfigError, readConfig } from './base/config.ts'
import { openLogger } from './base/logger.ts'
import { startNode } from './start-node.ts'

/** The longest shutdown, ms. After it the process exits. */
const closeMs = 10_000

/** Runs one node until SIGTERM or SIGINT. Exit code 2 means a wrong configuration, 1 any other failure. */
export async function runNode(): Promise<void> {
  try {
    const config = readConfig()
    const log = openLogger(config.logLevel)
    const node = await startNode(config, { log })
    closeWithGrace({ delay: closeMs, logger: log }, async ({ err, signal }) => {
      if (err) log.fatal({ err }, 'unexpected error: the node shuts down')
      else log.info({ signal }, 'the node shuts down')
      await node.close()
    })
  } catch (error) {
    process.exitCode = error instanceof ConfigError ? 2 : 1
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  }
}
