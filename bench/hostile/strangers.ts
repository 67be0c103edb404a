import { connect } from 'node:net'

/**
 * Opens `silent` connections that never log in, and `slow` ones that send their headers at one byte per second. Prints
 * how long the last one of each kind stayed open.
 */
const [url = '', silent = '5000', slow = '1000'] = process.argv.slice(2)
const { hostname, port } = new URL(url)
const perTick = 50
const addresses = 100
const upgrade = [
  'GET /ws HTTP/1.1',
  'host: localhost',
  'connection: Upgrade',
  'upgrade: websocket',
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version: 13',
  'sec-websocket-protocol: aimessage.v1',
  '',
  '',
].join('\r\n')

let opened = 0
let gone = 0
const longest = { silentMs: 0, slowMs: 0 }
const total = Number(silent) + Number(slow)
const isOver = () => opened === total && gone === total

function open(isSlow: boolean): void {
  const start = performance.now()
  const socket = connect({ port: Number(port), host: hostname, localAddress: `127.0.4.${1 + (opened % addresses)}` })
  opened += 1
  socket.on('error', () => {})
  socket.on('data', () => {})
  let dribble: NodeJS.Timeout | undefined
  socket.on('connect', () => {
    socket.write(isSlow ? 'GET /ws HTTP/1.1\r\n' : upgrade)
    if (isSlow) dribble = setInterval(() => socket.write('x'), 1_000)
  })
  socket.on('close', () => {
    clearInterval(dribble)
    gone += 1
    const kind = isSlow ? 'slowMs' : 'silentMs'
    longest[kind] = Math.max(longest[kind], performance.now() - start)
    if (isOver()) process.stdout.write(`${JSON.stringify(longest)}\n`)
  })
}

const timer = setInterval(() => {
  for (let index = 0; index < perTick && opened < total; index += 1) open(opened % 6 === 0)
  if (opened === total) clearInterval(timer)
}, 20)
