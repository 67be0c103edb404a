import type { Socket } from 'node:net'
import type { Redis } from 'ioredis'

/** Commands that are given in one go, and so those that the answers of one read lead to, leave in one write: each alone would be a system call. */
export function corkCommands(client: Redis): void {
  const send = client.sendCommand.bind(client)
  let corked: Socket | undefined
  const uncork = () => {
    corked?.uncork()
    corked = undefined
  }
  client.sendCommand = (command, stream) => {
    if (!corked && client.status === 'ready') {
      corked = client.stream
      corked.cork()
      process.nextTick(uncork)
    }
    return send(command, stream)
  }
}
