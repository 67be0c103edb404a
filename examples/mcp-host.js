import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'

// Acts as a host like Claude Code: starts the MCP server, lists its tools, and calls them. There is no model here.
const command = process.env.AIMESSAGE_COMMAND ?? 'aimessage'
const [program, ...args] = command.split(' ')
const env = { PATH: process.env.PATH, HOME: process.env.HOME, AIMESSAGE_SERVER: process.env.AIMESSAGE_SERVER }
if (process.env.AIMESSAGE_HOME) env.AIMESSAGE_HOME = process.env.AIMESSAGE_HOME

async function start(name) {
  const host = new Client({ name: 'example', version: '1' })
  const options = ['mcp', '--agent', name, '--name', name]
  await host.connect(new StdioClientTransport({ command: program, args: [...args, ...options], env, stderr: 'ignore' }))
  const call = async (tool, input = {}) => (await host.callTool({ name: tool, arguments: input })).structuredContent
  return { host, call }
}

const [alice, bob] = [await start('mcp-alice'), await start('mcp-bob')]
const asked = alice.call('request', { to: 'mcp-bob', text: 'Which port does staging use?', timeout_s: 50 })
const { messages } = await bob.call('wait_for_messages', { timeout_s: 50 })
const [{ id, from, preview, notice }] = messages
console.log(`${from} asks: ${preview} (${notice})`)
await bob.call('reply', { id, text: '8443' })
const { answer } = await asked
console.log(`${answer.from} answers: ${answer.content}`)
await Promise.all([alice.host.close(), bob.host.close()])
