import type { NodeId } from '../../ids.ts'
import type { Owner } from '../../store.ts'

/**
 * Encodes the owner of a claim for the field `owner` of `meta`. A socket belongs to its node; an HTTP owner to no
 * node.
 */
export const encodeOwner = (owner: Owner, node: NodeId): string =>
  owner.kind === 'socket' ? `s ${node} ${owner.connection}` : `h ${owner.connection}`

/** Returns the connection of an encoded owner. */
export const connectionOf = (owner: string): string => owner.slice(owner.lastIndexOf(' ') + 1)

export const isSocketOwner = (owner: string): boolean => owner.startsWith('s')
