import { setPriority } from 'node:os'
import type { ClientEvents } from '../../src/client/base/events.ts'
import type { Link } from '../../src/client/connection/link.ts'
import { resume } from '../../src/client/connection/login.ts'
import { ReconnectingLink } from '../../src/client/connection/reconnecting-link.ts'
import type { Dial } from '../../src/client/connection/socket.ts'
import { randomBytes } from '../../src/crypto/provider.ts'
import { formatAddress, parseUsername } from '../../src/protocol/names.ts'
import { Emitter } from '../../src/util/emitter.ts'
import { newName } from '../../tools/clients/raw-client.ts'
import { repeat } from '../load.ts'
import { newCredentials, RawAgent } from '../systems/raw-agent.ts'
import { dialRaw } from './dial-raw.ts'

/**
 * Reconnecting links of the client library on one node, each logged in by token. Prints a line when all are connected.
 * When that node ends, they are sent to the other node, as a balancer would do. Prints a line when all are back: the
 * seconds, and the maximum number of attempts of one link.
 */
// In production the clients run on other machines. Here they get the CPU time that node and Redis leave.
setPriority(19)
const [url = '', otherUrl = '', count = '2000'] = process.argv.slice(2)
let goneAt: number | undefined

const dial: Dial = (_url, handlers) =>
  dialRaw(goneAt === undefined ? url : otherUrl, {
    ...handlers,
    closed: end => {
      goneAt ??= performance.now()
      handlers.closed(end)
    },
  })

type Member = { connector: ReconnectingLink; attempts: number }

async function join(): Promise<Member> {
  const who = newCredentials(newName())
  const agent = await RawAgent.connect(url, who)
  agent.close()
  const token = who.token ?? ''
  const username = parseUsername(who.username)
  const self = { username, identity: who.identity, domain: 'localhost', address: formatAddress(username, 'localhost') }
  const events = new Emitter<ClientEvents>()
  const member = { attempts: 0 }
  const logIn = async (link: Link) => {
    await resume({ link, self }, token)
    await link.request({ type: 'listen' })
  }
  const counting: Dial = (to, handlers) => {
    member.attempts += 1
    return dial(to, handlers)
  }
  const dropToken = async () => false
  const connector = new ReconnectingLink({ dial: counting, url, logIn, dropToken, random: randomBytes, events })
  await connector.link()
  return Object.assign(member, { connector })
}

const members: Member[] = []
await repeat(Number(count), async () => void members.push(await join()))
for (const member of members) member.attempts = 0
process.stdout.write(`${members.length} are there\n`)
const isBack = () => members.every(({ connector, attempts }) => attempts > 0 && connector.isOnline)
while (!isBack()) await new Promise(resolve => setTimeout(resolve, 50))
const seconds = (performance.now() - (goneAt ?? 0)) / 1_000
process.stdout.write(`${JSON.stringify({ seconds, attempts: Math.max(...members.map(({ attempts }) => attempts)) })}\n`)
