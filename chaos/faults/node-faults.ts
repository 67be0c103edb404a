import { anyPlace, type Fault, last } from './fault.ts'

/** Longer than the lease of 12 s, in ms. */
const beyondLeaseMs = [13_000, 15_000] as const

export const nodeFaults = {
  'kill-node': {
    lane: 'node',
    row: 'N1',
    about: 'a node is killed and starts again after 3 s',
    run: async scene => {
      const node = anyPlace(scene)?.node
      if (!node) return null
      const { pid } = node
      await node.kill()
      await last(scene, 2_500, 3_500)
      await node.start()
      return `process ${pid} killed`
    },
  },
  roll: {
    lane: 'node',
    row: 'N2',
    about: 'the nodes are restarted one after the other with SIGTERM',
    run: async ({ world }) => {
      const endings: string[] = []
      for (const { node } of world.places) {
        if (!node.isRunning) continue
        const { code, signal, ms } = await node.stop()
        endings.push(`${code ?? signal} in ${(ms / 1_000).toFixed(1)} s`)
        await node.start()
      }
      return endings.length > 0 ? `exits ${endings.join(', ')}` : null
    },
  },
  'stop-node': {
    lane: 'node',
    row: 'N3',
    about: 'a node is stopped (SIGSTOP) for longer than its lease',
    run: async scene => {
      const node = anyPlace(scene)?.node
      if (!node) return null
      node.signal('SIGSTOP')
      await last(scene, ...beyondLeaseMs)
      node.signal('SIGCONT')
      return `process ${node.pid} stopped`
    },
  },
  'stall-node': {
    lane: 'node',
    row: 'N4',
    about: "a node's event loop is blocked for longer than its lease",
    run: async scene => {
      const node = anyPlace(scene)?.node
      if (!node) return null
      node.signal('SIGWINCH')
      await last(scene, ...beyondLeaseMs)
      return `process ${node.pid} stalled`
    },
  },
} as const satisfies Record<string, Fault>
