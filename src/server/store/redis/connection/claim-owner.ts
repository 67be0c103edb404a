import type { NodeId } from '../../ids.ts'
import type { Owner } from '../../store.ts'

/** Who claims an inbox, as `meta` holds it: a socket belongs to its node, an HTTP owner to none. */
export const encodeOwner = (owner: Owner, node: NodeId): string =>
  owner.kind === 'socket' ? `s ${node} ${owner.connection}` : `h ${owner.connection}`

/** The connection in it. */
export const connectionOf = (owner: string): string => owner.slice(owner.lastIndexOf(' ') + 1)

export const isSocketOwner = (owner: string): boolean => owner.startsWith('s')
