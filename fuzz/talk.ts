import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import { decodeServerFrame } from '../src/protocol/codec.ts'
import { closeCodes, isErrorCode } from '../src/protocol/errors.ts'
import type { ServerFrame } from '../src/protocol/frames.ts'
import { identityText, prove, type User } from '../tools/clients/raw-client.ts'
import type { Findings } from './findings.ts'
import type { Conversation, FuzzFrame } from './frames.ts'
import type { World } from './world.ts'

/** An answer that takes longer counts as a hang, in ms: far longer than any answer on a busy machine. */
const hangMs = 60_000
/** How long to wait for an answer that may not come, in ms. */
const openEndMs = 500
const probeId = 'is-anybody-there'
/** Close codes outside the table, from ws and the transport: 1000 without a reason, RFC 6455 errors, 1006. */
const wsCodes = [1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009]
const knownCloses = new Set<number>([...wsCodes, ...Object.values(closeCodes).map(({ code }) => code)])

/** Runs one conversation on its own connection and checks all answers. */
export async function talk(world: World, findings: Findings, user: User, conversation: Conversation): Promise<number> {
  const { isLoggedIn, frames } = conversation
  const socket = new WebSocket(world.node.wsUrl, ['aimessage.v1'], { localAddress: world.nextAddress() })
  socket.on('error', () => {})
  const ended = ending(socket)
  const transport = new Promise<Duplex>(resolve => {
    socket.on('upgrade', ({ socket: duplex }) => resolve(duplex))
  })
  const probed = new Promise<void>(resolve => {
    socket.on('message', data => {
      const answer = read(String(data), findings, conversation)
      if (answer?.type === 'challenge' && isLoggedIn) socket.send(login(user, answer.nonce))
      if (answer && 'id' in answer && answer.id === probeId) resolve()
    })
  })
  // The login is the first frame; the following frames are pipelined behind it.
  const challenged = once(socket, 'message').then(() => true)
  if (!(await Promise.race([challenged, ended.then(() => false)]))) {
    findings.count('not opened')
    return 0
  }
  for (const frame of frames) write(socket, await transport, frame)
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: 'heartbeat', id: probeId }))
  // The bytes may be the start of an incomplete frame; then the probe becomes a part of that frame.
  const isOpenEnded = frames.some(({ kind }) => kind === 'bytes')
  const patience = () => {
    if (!isOpenEnded) findings.fault('hang', conversation)
    socket.terminate()
  }
  const timer = setTimeout(patience, isOpenEnded ? openEndMs : hangMs)
  await Promise.race([probed, ended])
  socket.terminate()
  const code = await ended
  clearTimeout(timer)
  findings.count(`closed ${code}`)
  if (!knownCloses.has(code)) findings.fault(`closed with ${code}`, conversation)
  return frames.length
}

const ending = (socket: WebSocket): Promise<number> =>
  new Promise(resolve => {
    socket.on('close', resolve)
  })

function write(socket: WebSocket, transport: Duplex, frame: FuzzFrame): void {
  if (socket.readyState !== WebSocket.OPEN) return
  if (frame.kind === 'text') socket.send(frame.text)
  else transport.write(frame.bytes)
}

/** Checks a frame of the node: it must fit its schema, and an error code must be in the table. */
function read(text: string, findings: Findings, input: Conversation): ServerFrame | undefined {
  try {
    const frame = decodeServerFrame(text)
    if (frame.type !== 'error') {
      findings.count(frame.type)
      return frame
    }
    findings.count(frame.code)
    if (!isErrorCode(frame.code)) findings.fault(`unknown code ${frame.code}`, input)
    if (frame.code === 'internal') findings.fault('internal', input)
    return frame
  } catch (error) {
    findings.fault(`the node broke the protocol with ${text.slice(0, 200)} (${error})`, input)
    return undefined
  }
}

function login({ username, identity }: User, nonce: string): string {
  const signature = prove(identity, { purpose: 'register', username, nonce })
  return JSON.stringify({ type: 'register', id: 'login', username, identity: identityText(identity), signature })
}
