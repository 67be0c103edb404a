import { rm } from 'node:fs/promises'
import t from 'tap'
import { copyState } from '../../tools/clients/agents.ts'
import { startTestNode } from '../../tools/servers/running-node.ts'
import { openCliWorld } from '../fixtures/cli/cli-world.ts'

t.test(
  '17.18 every command says that its state is an older copy; the second time within an hour is an error',
  async t => {
    const { wsUrl } = await startTestNode(t)
    const { run, register, directory } = await openCliWorld(t, wsUrl)
    await register('alice', 'bob')
    const [state, image] = [directory('alice'), `${directory('alice')}-image`]
    t.equal((await run('alice', ['send', 'bob', 'first'])).code, 0)
    await copyState(state, image)
    const startFromImage = async () => {
      await rm(state, { recursive: true, force: true })
      await copyState(image, state)
    }
    t.equal((await run('alice', ['send', 'bob', 'second'])).code, 0)

    await startFromImage()
    const once = await run('alice', ['send', 'bob', 'third'])
    t.equal(once.code, 0)
    t.match(once.stdout, /sent/)
    t.match(once.stderr, /older copy of one that went on elsewhere/)
    const same = await run('alice', ['users'])
    t.equal(same.stderr, '', 'a state that goes on is no copy')

    for (const command of [['send', 'bob', 'fourth'], ['users'], ['recv']]) {
      await startFromImage()
      const again = await run('alice', [...command, '--json'])
      t.equal(again.code, 6, command.join(' '))
      const lines = again.stderr
        .trim()
        .split('\n')
        .map(line => JSON.parse(line))
      t.match(
        lines.find(({ event }) => event === 'restored'),
        { again: true },
      )
      t.match(lines.at(-1), { error: { code: 'state_copied', message: /twice within an hour/ } })
      if (command[0] === 'send') t.match(JSON.parse(again.stdout), { to: 'bob' })
    }
  },
)
