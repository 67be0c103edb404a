import type { Command } from 'commander'
import { defer } from '../../util/deferred.ts'

export function addServe(program: Command): void {
  program
    .command('serve')
    .description('run a node; it is configured by variables (PORT, HOST, DOMAIN, REDIS_URL, …: see .env.example)')
    .addHelpText('after', '\nIts log is JSON on standard output. SIGTERM or SIGINT end it.')
    .action(serve)
}

/** Never resolves once the node runs: it ends the process itself. */
async function serve(): Promise<void> {
  // Only here: a node needs much that an agent does not.
  const { runNode } = await import('../../server/run-node.ts')
  await runNode()
  if (!process.exitCode) await defer<never>().promise
}
