import { openMemoryStore } from '../../src/client/node.ts'
import { openAgentAt, registerAgent } from '../../tools/clients/agents.ts'
import { builtFile } from '../../tools/processes.ts'
import { startNodeProcess } from '../../tools/servers/node.ts'
import { ClaudeCode } from '../claude-code.ts'
import type { Proof } from '../proof.ts'
import { type Call, ScriptedModel, type Turn } from '../scripted-model.ts'

const timeoutMs = 180_000
const question = 'Which port?'
const letter = 'The build is green.'

const use =
  (tool: string, input: (call: Call) => Record<string, unknown> = () => ({})) =>
  (call: Call): Turn => ({ tool: `mcp__aimessage__${tool}`, input: input(call) })

/** Returns the id of the message in a result of a tool that contains `text`. */
function idOf(call: Call, kind: 'request' | 'message'): string {
  const found = new RegExp(`"id":"([\\w-]{22})"(?:(?!"id":).)*?"kind":"${kind}"`, 's').exec(call.fresh)
  return found?.[1] ?? 'no-such-id'
}

/** Claude Code without a terminal lists, waits, reads and answers through the MCP server. */
export const mcpTools: Proof = {
  name: 'mcp-tools',
  title: 'lists agents, waits for messages, reads them in full, replies and sends',
  async run({ owner, home, program, check }) {
    const node = await startNodeProcess(owner)
    const alice = await openAgentAt(owner, node.wsUrl, `${home}/agents/alice`)
    await alice.register('alice')
    await alice.close()
    const bob = await registerAgent(owner, node.wsUrl, 'bob', openMemoryStore())
    await bob.send('alice', letter)
    const answer = bob.request('alice', question, { timeoutMs })
    answer.catch(() => {})

    const { model, url } = await ScriptedModel.start(owner, [
      use('list_agents'),
      use('wait_for_messages', () => ({ timeout_s: 20 })),
      use('read_messages', call => ({ ids: [idOf(call, 'message'), idOf(call, 'request')] })),
      use('reply', call => ({ id: idOf(call, 'request'), text: '4711' })),
      use('send_message', () => ({ to: 'bob', text: 'And thanks for the build.' })),
      () => ({ text: 'finished' }),
    ])
    const env = { AIMESSAGE_HOME: `${home}/agents`, AIMESSAGE_SERVER: node.wsUrl }
    const server = { command: process.execPath, args: [builtFile('cli/run'), 'mcp', '--agent', 'alice'], env }
    const claude = await ClaudeCode.setUp({ program, home, modelUrl: url, mcpServers: { aimessage: server } })
    const { code, output } = await claude.prompt('Look after your messages.', { timeoutMs })

    check(
      `${claude.version()} ends with 0 and the words of the model`,
      code === 0 && output.includes('finished'),
      output,
    )
    const results = model.calls.map(({ fresh }) => fresh)
    // The host names many tools in a text first, and gives the model their schemas only when it asks for them.
    const offered = [results[0] ?? '', ...(model.calls[0]?.tools ?? [])]
    const isOffered = offered.some(text => text.includes('mcp__aimessage__reply'))
    check('the host offers the tools', isOffered, results[0])
    check('list_agents names bob', (results[1] ?? '').includes('"bob"'), results[1])
    check('wait_for_messages shows what waits', (results[2] ?? '').includes(letter), results[2])
    check('read_messages has the whole text', (results[3] ?? '').includes('Which port?'), results[3])
    const { text } = await answer.catch(error => ({ text: String(error) }))
    check('the asker gets the reply', text === '4711', text)
    const [thanks] = await bob.mailbox.wait({ waitMs: 20_000 }).then(({ messages }) => messages)
    check('the message arrives', thanks?.text === 'And thanks for the build.', thanks?.text)
  },
}
