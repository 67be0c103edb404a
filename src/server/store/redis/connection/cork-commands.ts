import type { Socket } from 'node:net'
import type { Redis } from 'ioredis'

/** Sends all commands of one turn of the event loop in one write, instead of one system call per command. */
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
