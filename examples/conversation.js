import { openClient, openDirectoryStore } from 'aimessage'

const server = process.env.AIMESSAGE_SERVER ?? 'ws://localhost:8080'
const home = process.env.AIMESSAGE_HOME ?? 'agents'

async function enter(name) {
  const agent = await openClient({ server, store: await openDirectoryStore(`${home}/${name}`) })
  if (!agent.account) await agent.register(name)
  return agent
}

const [alice, bob] = [await enter('alice'), await enter('bob')]
const { queued } = await alice.send('bob', 'The build on main is broken. Can you look?')
console.log(queued ? 'bob is away: the node keeps it' : 'bob listens')

for await (const message of bob.receive()) {
  console.log(`${message.from} (${message.verified}): ${message.text}`)
  await message.ack() // never shown again, whatever crashes; asking for the next one does the same
  break
}
await Promise.all([alice.close(), bob.close()])
