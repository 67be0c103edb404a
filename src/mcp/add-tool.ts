import { fromJsonSchema, type McpServer, type ServerContext, type ToolAnnotations } from '@modelcontextprotocol/server'
import type { Static, TObject } from 'typebox'
import { forgive } from './forgiving-input.ts'
import type { McpSession } from './mcp-session.ts'
import { failure, result } from './result.ts'

/** The interval of signs of life during a call, ms. */
const progressMs = 5_000

export type Values = Record<string, unknown>
export type Tool<Input extends TObject> = {
  description: string
  input: Input
  annotations?: ToolAnnotations
  run(session: McpSession, input: Static<Input>, signal: AbortSignal): Promise<Values>
}

/**
 * Registers a tool. The server checks its input against the schema; an error becomes the result of the tool. Each
 * result has the number of unread messages.
 */
export function addTool<Input extends TObject>(
  server: McpServer,
  session: McpSession,
  name: string,
  definition: Tool<Input>,
): void {
  const { description, input, annotations, run } = definition
  const config = { description, inputSchema: schemaOf<Input>(input), ...(annotations && { annotations }) }
  server.registerTool(name, config, async (args: Static<Input>, { mcpReq }: ServerContext) => {
    session.listen()
    const stop = sendProgress(mcpReq)
    try {
      const values = await run(session, args, mcpReq.signal)
      return result({ ...(await unreadHint(session)), ...values })
    } catch (error) {
      return failure(error)
    } finally {
      stop()
    }
  })
}

/** A call that has done its work does not fail because of the hint. */
const unreadHint = ({ client }: McpSession): Promise<Values> =>
  client.mailbox.unread().then(
    unread => ({ unread }),
    () => ({}),
  )

function schemaOf<Input extends TObject>(input: Input) {
  // Without this, a misspelled argument would be ignored silently.
  const schema = fromJsonSchema<Static<Input>>({ ...input, additionalProperties: false })
  const { validate, ...standard } = schema['~standard']
  return {
    '~standard': { ...standard, validate: (value: unknown) => validate(forgive(input, value)) },
  } as typeof schema
}

/** Tells a host that asked for it that a call goes on: some hosts end a call without a sign of life. */
function sendProgress({ _meta, notify }: ServerContext['mcpReq']): () => void {
  const progressToken = _meta?.progressToken
  if (progressToken === undefined) return () => {}
  let progress = 0
  const timer = setInterval(() => {
    progress += 1
    notify({ method: 'notifications/progress', params: { progressToken, progress } }).catch(() => {})
  }, progressMs)
  return () => clearInterval(timer)
}
