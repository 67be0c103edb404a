import type { Command } from 'commander'
import type { Start } from '../base/context.ts'

export function addDemo(program: Command, start: Start): void {
  program
    .command('demo')
    .description('start a node and two agents in this process, and show a conversation step by step')
    .action((_options: object, command: Command) =>
      start(command, async context => {
        const { playDemo } = await import('../demo/demo.ts')
        await playDemo(context.output, context.interruption.signal)
      }),
    )
}
