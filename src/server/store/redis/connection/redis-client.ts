import { Cluster, type Redis } from 'ioredis'

/** A connection to one server, or one connection to each server of a Cluster. */
export type RedisClient = Redis | Cluster

export const isCluster = (client: RedisClient): client is Cluster => client instanceof Cluster

export const primariesOf = (client: RedisClient): Redis[] => (isCluster(client) ? client.nodes('master') : [client])

/**
 * Disconnects a client for good. Without this, a Cluster that is disconnected while it asks for its slots asks for
 * ever: ioredis schedules the next question when an answer or an error arrives, also after `disconnect`.
 */
export function endClient(client: RedisClient): void {
  if (isCluster(client)) client.refreshSlotsCache = () => {}
  client.disconnect()
}

/**
 * Calls `ended` when a connection ends, and when a server joins or leaves the Cluster: it may have replaced another.
 */
export function onEnd(client: RedisClient, ended: () => void): void {
  if (!isCluster(client)) return void client.on('close', ended)
  for (const node of client.nodes()) node.on('close', ended)
  client.on('+node', (node: Redis) => {
    node.on('close', ended)
    ended()
  })
  client.on('-node', ended)
}
