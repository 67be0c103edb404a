import t, { type Test } from 'tap'
import type { Client, ClientEvents } from '../../src/client/node.ts'
import { decodeBundle, encodeBundle, type Served } from '../../src/crypto/keys/bundle.ts'
import { generateIdentity, sign } from '../../src/crypto/keys/identity.ts'
import { labels } from '../../src/crypto/labels.ts'
import { encodeOffer } from '../../src/crypto/messages/message.ts'
import { randomBytes } from '../../src/crypto/provider.ts'
import { decodeBase64Url, encodeBase64Url } from '../../src/util/bytes.ts'
import { openAgent, receiveSome, registerAgent, textsOf } from '../../tools/clients/agents.ts'
import { RawClient } from '../../tools/clients/raw-client.ts'
import { startDeployment } from '../../tools/servers/deployment.ts'
import { type Frame, type Lies, startLyingNode } from '../fixtures/servers/lying-node.ts'

const eventOf = <Name extends keyof ClientEvents>(client: Client, name: Name): Promise<ClientEvents[Name]> =>
  new Promise(resolve => client.on(name, resolve))

/** Applies a lie to the first frame that matches. Other frames pass unchanged. */
function oneLie(fits: (frame: Frame) => boolean, lie: (frame: Frame) => Frame | Frame[] | undefined) {
  let isApplied = false
  return (frame: Frame): Frame | Frame[] | undefined => {
    if (isApplied || !fits(frame)) return frame
    isApplied = true
    return lie(frame)
  }
}
const isMessage = (frame: Frame): boolean => frame.type === 'message'
const flip = (body: unknown): string => {
  const bytes = decodeBase64Url(String(body))
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  return encodeBase64Url(bytes)
}

/** What a node serves of an agent to anyone: it is all that a node needs for an offer, except the signature. */
async function fetchServed(t: Test, server: string, username: string): Promise<Served> {
  const client = await RawClient.loggedIn(t, server)
  const keys = await client.request({ type: 'fetch_keys', username })
  if (keys.type !== 'keys' || !keys.oneTimeKey || !keys.oneTimeKemKey) throw new Error('keys are missing')
  const { oneTimeKey, oneTimeKemKey } = keys
  return {
    bundle: decodeBase64Url(keys.bundle),
    oneTimeKey: { id: oneTimeKey.id, key: decodeBase64Url(oneTimeKey.key) },
    oneTimeKemKey: {
      id: oneTimeKemKey.id,
      key: decodeBase64Url(oneTimeKemKey.key),
      signature: decodeBase64Url(oneTimeKemKey.signature),
    },
  }
}

const forgeOffer = (served: Served, signature: Uint8Array | null): Uint8Array =>
  encodeOffer({ offerId: randomBytes(16), expiresAtS: Math.floor(Date.now() / 1_000) + 600, served, signature })

const signOther = (): Uint8Array => sign(generateIdentity(randomBytes), labels.offer, randomBytes(32))

// Evidence: X2
t.test('clients detect a node that lies', async t => {
  const { servers } = await startDeployment(t, { nodes: 1 })
  const [honest = ''] = servers
  let names = 0
  const pair = async (t: Test) => {
    names += 1
    const { server, lies } = await startLyingNode(t, honest)
    const alice = await registerAgent(t, honest, `alice-${names}`)
    const bob = await registerAgent(t, server, `bob-${names}`)
    const [from = '', to = ''] = [alice.account?.username, bob.account?.username]
    await alice.send(to, 'first')
    t.same(textsOf(await receiveSome(bob, 1)), ['first'])
    return { alice, bob, from, to, lies, server }
  }

  // Evidence: K7
  t.test('a message with a forged sender is reported and not shown; the true message is shown', async t => {
    const { alice, bob, to, lies } = await pair(t)
    const carol = await registerAgent(t, honest, `carol-${names}`)
    const carolName = carol.account?.username ?? ''
    lies.toClient = oneLie(isMessage, frame => ({ ...frame, from: carolName }))
    const reported = eventOf(bob, 'undecryptable')
    const shown = receiveSome(bob, 1)
    await alice.send(to, 'second')
    t.equal((await reported).from, carolName)
    await carol.send(to, 'from the real carol')
    t.same(textsOf(await shown), ['from the real carol'])
  })

  t.test('a changed or truncated body is reported and repaired by the sender', async t => {
    for (const spoil of [flip, (body: unknown) => String(body).slice(0, 400)]) {
      const { alice, bob, to, lies } = await pair(t)
      lies.toClient = oneLie(isMessage, frame => ({ ...frame, body: spoil(frame.body) }))
      const reported = eventOf(bob, 'undecryptable')
      const listening = receiveSome(alice, 1)
      const shown = receiveSome(bob, 1)
      await alice.send(to, 'second')
      await reported
      t.same(textsOf(await shown), ['second'])
      await bob.send(alice.account?.username ?? '', 'done')
      await listening
    }
  })

  // Evidence: K8
  t.test('a replayed body is shown once', async t => {
    const { alice, bob, to, lies } = await pair(t)
    lies.toClient = oneLie(isMessage, frame => {
      const seq = Number(frame.seq)
      return [frame, { ...frame, prev: seq, seq: seq + 1, id: 'again' }]
    })
    const shown = receiveSome(bob, 2)
    await alice.send(to, 'second')
    lies.toClient = frame => frame
    await alice.send(to, 'third')
    t.same(textsOf(await shown), ['second', 'third'])
  })

  // Evidence: K8
  t.test('envelopes out of order are detected and read again', async t => {
    const { alice, bob, to, lies } = await pair(t)
    for (const text of ['second', 'third', 'fourth']) await alice.send(to, text)
    let held: Frame | undefined
    let swapped = false
    lies.toClient = frame => {
      if (swapped || !isMessage(frame)) return frame
      if (held) {
        swapped = true
        return [frame, held]
      }
      held = frame
      return []
    }
    const noticed = eventOf(bob, 'gap')
    const shown = receiveSome(bob, 3)
    await noticed
    t.same(textsOf(await shown), ['second', 'third', 'fourth'])
  })

  /** Swaps the bodies of two frames, so that numbers, names and order are consistent. */
  const exchanged = (first: Frame, second: Frame): Frame[] => [
    { ...second, seq: first.seq, prev: first.prev },
    { ...first, seq: second.seq, prev: second.prev },
  ]
  /** Holds the first message back, and sends the second one in its place. */
  const exchange = (lies: Lies): void => {
    let held: Frame | undefined
    lies.toClient = frame => {
      if (!isMessage(frame)) return frame
      if (held) {
        delete lies.toClient
        return exchanged(held, frame)
      }
      held = frame
      return []
    }
  }

  // Evidence: D7
  t.test('swapped bodies under consistent numbers are reported', async t => {
    const { alice, bob, from, to, lies } = await pair(t)
    const ids: string[] = []
    for (const text of ['second', 'third', 'fourth']) ids.push((await alice.send(to, text)).id)
    exchange(lies)
    const reported: ClientEvents['reordered'][] = []
    bob.on('reordered', event => reported.push(event))
    t.same(textsOf(await receiveSome(bob, 3)), ['third', 'second', 'fourth'])
    t.same(reported, [{ from, id: ids[0] }])
  })

  t.test('the last message of a session after the reset that ended it is reported', async t => {
    const { alice, bob, from, to, lies } = await pair(t)
    const { id } = await alice.send(to, 'second')
    await alice.renewSession(to)
    await alice.send(to, 'third')
    exchange(lies)
    const reported: ClientEvents['reordered'][] = []
    bob.on('reordered', event => reported.push(event))
    t.same(textsOf(await receiveSome(bob, 2)), ['second', 'third'])
    t.same(reported, [{ from, id }])
  })

  // Evidence: D7
  t.test('a missing message is not reported as reordered', async t => {
    const { alice, bob, to, lies } = await pair(t)
    for (const text of ['second', 'third', 'fourth']) await alice.send(to, text)
    let left: Frame | undefined
    lies.toClient = frame => {
      if (!isMessage(frame)) return frame
      if (left) return { ...frame, prev: frame.prev === left.seq ? left.prev : frame.prev }
      left = frame
      return []
    }
    bob.on('reordered', event => t.fail('reported', { event }))
    t.same(textsOf(await receiveSome(bob, 2)), ['third', 'fourth'])
  })

  // Evidence: K7
  t.test('a message for another agent cannot be decrypted', async t => {
    const { alice, bob, to, lies } = await pair(t)
    const other = await registerAgent(t, honest, `other-${names}`)
    await alice.send(other.account?.username ?? '', 'not for bob')
    let stolen: unknown
    const thief = await startLyingNode(t, honest)
    thief.lies.toNode = frame => {
      if (frame.type === 'send') stolen = frame.body
      return frame
    }
    const through = await openAgent(t, thief.server)
    await through.register(`mallory-${names}`)
    await through.send(other.account?.username ?? '', 'for the other')
    lies.toClient = oneLie(isMessage, frame => ({ ...frame, body: stolen, from: `mallory-${names}` }))
    const reported = eventOf(bob, 'undecryptable')
    const shown = receiveSome(bob, 1)
    await alice.send(to, 'lost to the lie')
    t.equal((await reported).from, `mallory-${names}`)
    await alice.send(to, 'next')
    t.same(textsOf(await shown), ['next'])
  })

  // Evidence: K5
  t.test('17.7 an offer that a node makes from public keys replaces no session', async t => {
    const { alice, bob, from, to, lies } = await pair(t)
    const { id } = await bob.send(from, 'an answer, so that the session has turned')
    t.same(textsOf(await receiveSome(alice, 1)), ['an answer, so that the session has turned'])
    // The receipt is a message, too: bob reads it first, so that it is not the one that is replaced.
    const listening = receiveSome(bob, 1)
    await bob.confirmed(id, 'read')
    await alice.send(to, 'read')
    t.same(textsOf(await listening), ['read'])
    const served = await fetchServed(t, honest, from)
    for (const kind of ['unsigned', 'signed by another key'] as const) {
      const body = encodeBase64Url(forgeOffer(served, kind === 'unsigned' ? null : signOther()))
      lies.toClient = oneLie(isMessage, frame => ({ ...frame, type: 'key_exchange', body }))
      bob.on('session', () => t.fail('a session was started'))
      const reported = eventOf(bob, 'undecryptable')
      const shown = receiveSome(bob, 1)
      await alice.send(to, 'lost to the lie')
      t.match(await reported, { from, remedy: 'none', reason: /offer/ }, kind)
      await alice.send(to, 'next')
      t.same(textsOf(await shown), ['next'])
    }
  })

  // Evidence: K4, X2
  t.test('a swapped identity key stops sending and is reported', async t => {
    const { alice, bob, lies, from } = await pair(t)
    void alice
    const mallory = generateIdentity(randomBytes)
    const fresh = await openAgent(t, honest)
    await fresh.register(`fresh-${names}`)
    // Bob has alice's key from her first message. An interactive exchange makes him drop his session with her.
    lies.toClient = frame => {
      if (frame.type !== 'keys') return frame
      const bundle = decodeBundle(decodeBase64Url(String(frame.bundle)))
      const signature = (key: Uint8Array, tag: number) =>
        sign(mallory, 'AIMessage1 prekey', Uint8Array.from([tag, ...key]))
      const forged = encodeBundle(mallory, {
        ...bundle,
        identity: mallory.publicKey,
        signedPrekey: { ...bundle.signedPrekey, signature: signature(bundle.signedPrekey.key, 2) },
        lastResortKem: { ...bundle.lastResortKem, signature: signature(bundle.lastResortKem.key, 3) },
      })
      const { oneTimeKemKey: _dropped, ...rest } = frame
      return { ...rest, type: 'keys', bundle: encodeBase64Url(forged) }
    }
    const changed = eventOf(bob, 'key-changed')
    await t.rejects(bob.renewSession(from), { code: 'identity_changed' })
    t.same(await changed, { peer: from })
    await t.rejects(bob.send(from, 'secret'), { code: 'identity_changed' })
  })

  // Evidence: K4, X4
  t.test('a bundle with one replaced key is refused on first contact', async t => {
    const { bob, lies } = await pair(t)
    const carol = await registerAgent(t, honest, `karla-${names}`)
    const sent: Frame[] = []
    lies.toNode = frame => {
      sent.push(frame)
      return frame
    }
    lies.toClient = frame => (frame.type === 'keys' ? { ...frame, bundle: flip(frame.bundle) } : frame)
    const name = carol.account?.username ?? ''
    await t.rejects(bob.send(name, 'secret'), { code: 'bad_bundle' })
    // A receipt for another agent may still be in flight.
    t.notOk(
      sent.some(({ type, to }) => type === 'send' && String(to).startsWith(name)),
      'nothing left',
    )
  })

  for (const code of ['no_keys', 'unknown_user', 'forbidden', 'internal']) {
    // Evidence: K3
    t.test(`no error of a node (${code}) makes a client send readable data`, async t => {
      const { bob, lies } = await pair(t)
      const stranger = `carl-${names}`
      await registerAgent(t, honest, stranger)
      const sent: Frame[] = []
      lies.toNode = frame => {
        if (frame.to === stranger) sent.push(frame)
        return frame
      }
      lies.toClient = frame => {
        if (frame.type !== 'keys') return frame
        return { type: 'error', id: frame.id, code, message: 'a lie' }
      }
      const refused = eventOf(bob, code === 'internal' ? 'delayed' : code === 'no_keys' ? 'connected' : 'refused')
      const sending = bob.send(stranger, 'secret', { signal: AbortSignal.timeout(1_500) })
      await t.rejects(sending)
      if (code !== 'no_keys') await refused
      // An offer for an interactive exchange carries only public keys.
      t.ok(sent.every(({ body }) => decodeBase64Url(String(body))[1] === 5))
    })
  }

  // Evidence: K12, A2
  t.test('a challenge for another domain is not signed', async t => {
    const { server, lies } = await startLyingNode(t, honest)
    lies.toClient = frame => (frame.type === 'challenge' ? { ...frame, domain: 'elsewhere.example' } : frame)
    const sent: Frame[] = []
    lies.toNode = frame => {
      sent.push(frame)
      return frame
    }
    const victim = await openAgent(t, server)
    const mismatch = { code: 'domain_mismatch', message: /localhost/, serverSaid: 'elsewhere.example' }
    await t.rejects(victim.register('victim'), mismatch)
    t.same(sent, [])
  })

  // Evidence: API10
  t.test('an answer that names another user is reported as a server fault', async t => {
    const { server, lies } = await startLyingNode(t, honest)
    lies.toClient = frame => (frame.type === 'authenticated' ? { ...frame, username: 'somebody' } : frame)
    const victim = await openAgent(t, server)
    await t.rejects(victim.register('victim-2'), { code: 'server_fault' })
  })
})
