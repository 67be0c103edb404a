import { createPrivateKey, randomBytes, sign } from 'node:crypto'
import { once } from 'node:events'
import { setPriority } from 'node:os'
import { WebSocket } from 'ws'
import { signKemKey } from '../../src/crypto/keys/bundle.ts'
import { encodeRelayAuth, type RelayAuth } from '../../src/crypto/keys/relay-auth.ts'
import { kemKeyPair } from '../../src/crypto/primitives.ts'
import { decodeBase64Url, encodeBase64Url } from '../../src/util/bytes.ts'
import { identityText, newName, newUser } from '../../tools/clients/raw-client.ts'

/**
 * One address that fills Redis in every way that a client has: as many users as it may register, each with all the keys
 * and rules it may store, large and small mail to each other and to the victims, mail that is read at once and leaves
 * only its dedupe entries, key fetches, challenges, logins and listings. It ignores errors and connects again after
 * each close. Prints one line of counters per second.
 */
setPriority(19)
const [url = '', victimList = '[]'] = process.argv.slice(2)
const victims: string[] = JSON.parse(victimList)
const localAddress = '127.0.2.1'
const sockets = 24
const usersAtOnce = 4
/** A socket with more bytes waiting gets no further frames, as with a full kernel buffer. */
const maxBufferedBytes = 2_097_152
const counts = { users: 0, sent: 0, accepted: 0, refused: 0, closed: 0 }
const names: string[] = []
let made = 0

const seedPrefix = Buffer.from('302e020100300506032b657004220420', 'hex')
type User = ReturnType<typeof newUser> & { isRegistered?: boolean }

function prove({ username, identity }: User, purpose: RelayAuth['purpose'], nonce: string): string {
  const key = createPrivateKey({ key: Buffer.concat([seedPrefix, identity.seed]), format: 'der', type: 'pkcs8' })
  const fields = { purpose, domain: 'localhost', username, identity: identity.publicKey, nonce: decodeBase64Url(nonce) }
  return encodeBase64Url(sign(null, encodeRelayAuth(fields), key))
}

const kem = kemKeyPair(randomBytes(64)).publicKey

const any = (list: readonly string[]): string => list[Math.floor(Math.random() * list.length)] ?? 'nobody'
const large = 'A'.repeat(120_000)

/** Frames in turn, each of another way to use memory. */
const ways: readonly ((user: User) => Record<string, unknown>)[] = [
  () => ({ type: 'send', to: any(names), body: large }),
  () => ({ type: 'send', to: any(names), body: 'AA' }),
  () => ({ type: 'send', to: any(victims), body: 'AA' }),
  () => ({ type: 'set_rule', username: newName('r'), rule: 'blocked' }),
  () => ({ type: 'fetch_keys', username: any(names) }),
  () => ({ type: 'send', to: any(names), body: 'A'.repeat(4_000), ttl: 604_800 }),
  () => ({ type: 'fetch_keys', username: any(victims) }),
  () => ({ type: 'list_users', limit: 500 }),
]

function keysOf({ identity }: User): Record<string, unknown> {
  const signature = encodeBase64Url(signKemKey(identity, kem))
  const oneTimeKeys = Array.from({ length: 100 }, () => ({ id: ++made, key: encodeBase64Url(randomBytes(32)) }))
  const oneTimeKemKeys = Array.from({ length: 20 }, () => ({ id: ++made, key: encodeBase64Url(kem), signature }))
  return { type: 'publish_keys', oneTimeKeys, oneTimeKemKeys }
}

/** `reads`: this user acknowledges its mail, so that room for more dedupe entries is left. */
function flood(user: User, reads: boolean): void {
  const socket = new WebSocket(url, ['aimessage.v1'], { localAddress, perMessageDeflate: false })
  let timer: NodeJS.Timeout | undefined
  let next = 0
  const send = (frame: Record<string, unknown>) => socket.send(JSON.stringify({ id: `f${++made}`, ...frame }))
  socket.on('error', () => {})
  socket.on('close', () => {
    clearInterval(timer)
    counts.closed += 1
    setTimeout(flood, 200, user, reads)
  })
  socket.on('message', data => {
    const text = String(data)
    if (text.startsWith('{"type":"accepted"')) counts.accepted += 1
    else if (text.startsWith('{"type":"error"')) counts.refused += 1
    else if (text.startsWith('{"type":"message"') && reads) {
      socket.send(`{"type":"ack","seq":${/"seq":(\d+)/.exec(text)?.[1]}}`)
    } else if (text.startsWith('{"type":"challenge"')) {
      const { nonce } = JSON.parse(text)
      if (user.isRegistered) {
        send({ type: 'authenticate', username: user.username, signature: prove(user, 'authenticate', nonce) })
      } else {
        const signature = prove(user, 'register', nonce)
        send({ type: 'register', username: user.username, identity: identityText(user.identity), signature })
      }
    } else if (text.startsWith('{"type":"authenticated"')) {
      if (!user.isRegistered) {
        user.isRegistered = true
        names.push(user.username)
        counts.users += 1
      }
      send(keysOf(user))
      if (reads) send({ type: 'listen' })
      timer = setInterval(() => {
        for (let index = 0; index < 50 && socket.bufferedAmount < maxBufferedBytes; index += 1) {
          counts.sent += 1
          send((ways[next++ % ways.length] ?? keysOf)(user))
        }
      }, 10)
    }
  })
}

/** Registers one user after the other, each with all its keys, for as long as the nodes allow it. */
async function registerMore(): Promise<void> {
  for (;;) {
    const user: User = newUser(newName('hog'))
    const socket = new WebSocket(url, ['aimessage.v1'], { localAddress, perMessageDeflate: false })
    socket.on('error', () => {})
    socket.on('message', data => {
      const text = String(data)
      if (text.startsWith('{"type":"challenge"')) {
        const signature = prove(user, 'register', JSON.parse(text).nonce)
        const fields = { username: user.username, identity: identityText(user.identity), signature }
        socket.send(JSON.stringify({ type: 'register', id: 'r', ...fields }))
      } else if (text.startsWith('{"type":"authenticated"')) {
        names.push(user.username)
        counts.users += 1
        socket.send(JSON.stringify({ id: 'k', ...keysOf(user) }))
      } else socket.close()
    })
    await once(socket, 'close')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

/** Challenges cost memory before anybody has logged in. */
async function challenge(): Promise<void> {
  const http = url.replace('ws', 'http').replace('/ws', '/v1/auth/challenge')
  for (;;) {
    const body = JSON.stringify({ username: any(victims) })
    await fetch(http, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
      .then(answer => answer.arrayBuffer())
      .catch(() => {})
  }
}

for (let at = 0; at < sockets; at += 1) flood(newUser(newName('hog')), at % 3 === 0)
for (let at = 0; at < usersAtOnce; at += 1) void registerMore()
void challenge()
setInterval(() => process.stdout.write(`${JSON.stringify(counts)}\n`), 1_000)
await once(process, 'SIGTERM')
