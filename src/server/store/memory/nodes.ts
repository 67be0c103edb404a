import type { NodeId } from '../ids.ts'
import type { Nodes } from '../store.ts'
import type { MemoryBacking } from './backing.ts'

export class MemoryNodes implements Nodes {
  readonly #backing: MemoryBacking
  readonly #nodeId: NodeId
  #isInDoubt = false

  constructor(backing: MemoryBacking, nodeId: NodeId) {
    this.#backing = backing
    this.#nodeId = nodeId
  }

  get isReady(): boolean {
    return this.#backing.nodes.has(this.#nodeId) && !this.#isInDoubt
  }

  async renewLease(): Promise<'kept' | 'lapsed'> {
    this.#isInDoubt = false
    return this.#backing.renew(this.#nodeId)
  }

  doubtLease(): void {
    this.#isInDoubt = true
  }

  async cleanUpDead(): Promise<void> {
    this.#backing.releaseDead()
  }
}
