import closeWithGrace from 'close-with-grace'
import { ConfigError, readConfig } from './base/config.ts'
import { openLogger } from './base/logger.ts'
import { startNode } from './start-node.ts'

/** How long a node may take to go before it is cut short, ms. */
const closeMs = 10_000

/** Runs one node until SIGTERM or SIGINT. Exit code 2 is a wrong configuration, 1 any other failure. */
export async function runNode(): Promise<void> {
  try {
    const config = readConfig()
    const log = openLogger(config.logLevel)
    const node = await startNode(config, { log })
    closeWithGrace({ delay: closeMs, logger: log }, async ({ err, signal }) => {
      if (err) log.fatal({ err }, 'a fault of ours; the node ends')
      else log.info({ signal }, 'the node ends')
      await node.close()
    })
  } catch (error) {
    process.exitCode = error instanceof ConfigError ? 2 : 1
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  }
}
