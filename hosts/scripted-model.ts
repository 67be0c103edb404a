import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Owner } from '../tools/teardown.ts'

/** What the model does next: it calls a tool, or it says something and ends its turn. */
export type Turn = { tool: string; input: Record<string, unknown> } | { text: string }

/** One question to the model. `fresh` is the text that is new since its last answer: prompts and results of tools. */
export type Call = { at: number; fresh: string; tools: readonly string[] }

type Block = { type: string; text?: string; content?: string | readonly Block[]; name?: string; input?: unknown }
type Message = { role: string; content: string | readonly Block[] }
type Request = { messages?: readonly Message[]; tools?: readonly { name: string }[]; stream?: boolean; model?: string }

/**
 * Stands where a model would speak: the Messages API of Anthropic on loopback, for a host that nobody here wrote. It
 * answers the calls that offer tools with the turns of a script.
 */
export class ScriptedModel {
  /** The calls that offered tools, in order. */
  readonly calls: Call[] = []
  readonly #script: readonly ((call: Call) => Turn)[]
  #next = 0

  private constructor(script: readonly ((call: Call) => Turn)[]) {
    this.#script = script
  }

  /** Returns the model and its URL. It ends with `owner`. */
  static async start(
    owner: Owner,
    script: readonly ((call: Call) => Turn)[],
  ): Promise<{ model: ScriptedModel; url: string }> {
    const model = new ScriptedModel(script)
    const server = createServer((request, response) => void model.#serve(request, response))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    owner.teardown(() => {
      server.closeAllConnections()
      server.close()
    })
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    return { model, url: `http://127.0.0.1:${port}` }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    const path = (request.url ?? '').split('?')[0] ?? ''
    if (path.endsWith('/count_tokens')) return answer(response, 200, { input_tokens: 10 })
    if (!path.endsWith('/messages')) return answer(response, 404, {})
    const asked = JSON.parse(body || '{}') as Request
    this.#answer(asked, response)
  }

  #answer({ messages = [], tools = [], stream = false, model = 'scripted' }: Request, response: ServerResponse): void {
    const turn = tools.length > 0 ? this.#turn(messages, tools) : { text: 'ok' }
    const id = `msg_${this.#next}_${this.calls.length}`
    const block =
      'tool' in turn
        ? { type: 'tool_use', id: `toolu_${id}`, name: turn.tool, input: turn.input }
        : { type: 'text', text: turn.text }
    const usage = { input_tokens: 1, output_tokens: 1 }
    const whole = { id, type: 'message', role: 'assistant', model, stop_sequence: null, usage }
    const stopReason = 'tool' in turn ? 'tool_use' : 'end_turn'
    if (!stream) return answer(response, 200, { ...whole, content: [block], stop_reason: stopReason })
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const delta =
      'tool' in turn
        ? { type: 'input_json_delta', partial_json: JSON.stringify(turn.input) }
        : { type: 'text_delta', text: turn.text }
    const start = 'tool' in turn ? { ...block, input: {} } : { type: 'text', text: '' }
    const events: Record<string, object> = {
      message_start: { message: { ...whole, content: [], stop_reason: null } },
      content_block_start: { index: 0, content_block: start },
      content_block_delta: { index: 0, delta },
      content_block_stop: { index: 0 },
      message_delta: { delta: { stop_reason: stopReason, stop_sequence: null }, usage },
      message_stop: {},
    }
    for (const [type, fields] of Object.entries(events))
      response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`)
    response.end()
  }

  #turn(messages: readonly Message[], tools: readonly { name: string }[]): Turn {
    const since = messages.map(({ role }) => role).lastIndexOf('assistant') + 1
    const fresh = messages.slice(since).map(textOf).join('\n')
    const call = { at: performance.now(), fresh, tools: tools.map(({ name }) => name) }
    this.calls.push(call)
    const next = this.#script[this.#next]
    this.#next += 1
    return next?.(call) ?? { text: 'done' }
  }
}

const textOf = ({ content }: Message): string => textIn(content)

function textIn(content: string | readonly Block[]): string {
  if (typeof content === 'string') return content
  return content.map(block => block.text ?? textIn(block.content ?? '')).join('\n')
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}
