import closeWithGrace from 'close-with-grace'
import { readConfig } from '../../src/server/base/config.ts'
import { openLogger } from '../../src/server/base/logger.ts'
import { openStore } from '../../src/server/open-store.ts'
import { startNode } from '../../src/server/start-node.ts'
import { monotonicMs } from '../clock.ts'
import type { AuditEvent } from '../history/events.ts'
import { LineWriter } from '../history/json-lines.ts'
import { auditStore } from './audited-store.ts'

/** A node like that of `run-node`, with a recording store. SIGWINCH blocks its event loop. */
const closeMs = 10_000
const stallMs = Number(process.env.CHAOS_STALL_MS ?? 5_000)

const config = readConfig()
const log = openLogger(config.logLevel)
const audit = new LineWriter<AuditEvent>(process.env.CHAOS_AUDIT ?? '/dev/null')
const store = auditStore(await openStore(config, log), event => audit.write(event))
const node = await startNode(config, { log, store })
closeWithGrace({ delay: closeMs, logger: log }, async ({ err }) => {
  if (err) log.fatal({ err }, 'unexpected error; the node ends')
  await node.close()
})

/** SIGWINCH: a signal that close-with-grace does not handle. */
process.on('SIGWINCH', () => {
  const until = monotonicMs() + stallMs
  while (monotonicMs() < until);
})
