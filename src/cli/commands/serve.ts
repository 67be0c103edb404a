import type { Command } from 'commander'
import { defer } from '../../util/deferred.ts'

export function addServe(program: Command): void {
  program
    .command('serve')
    .description('run a node, configured by variables (PORT, HOST, DOMAIN, REDIS_URL, …: see .env.example)')
    .addHelpText('after', '\nIts log is JSON on standard output. SIGTERM or SIGINT ends it.')
    .action(serve)
}

/** Does not resolve while the node runs: the node ends the process. */
async function serve(): Promise<void> {
  const { runNode } = await import('../../server/run-node.ts')
  await runNode()
  if (!process.exitCode) await defer<never>().promise
}
