import { openClient, openDirectoryStore } from 'aimessage'

// A coordinator and three workers. `think` is where each would call its model.
const server = process.env.AIMESSAGE_SERVER ?? 'ws://localhost:8080'
const home = process.env.AIMESSAGE_HOME ?? 'agents'

async function enter(name) {
  const agent = await openClient({ server, store: await openDirectoryStore(`${home}/${name}`) })
  if (!agent.account) await agent.register(name)
  return agent
}

const think = ({ file }) => ({ file, lines: file.length })

async function startWorker(name) {
  const worker = await enter(name)
  worker.onRequest(async ({ json, part }) => {
    await part(`reading ${json.file}`)
    return { json: think(json) }
  })
  return worker
}

const names = ['worker-1', 'worker-2', 'worker-3']
const workers = await Promise.all(names.map(startWorker))
const coordinator = await enter('coordinator')
const files = ['server.ts', 'client.ts', 'README.md', 'crypto.ts', 'inbox.ts', 'mcp.ts']

const reports = await Promise.all(
  files.map(async (file, index) => {
    const to = names[index % names.length]
    const { from, json } = await coordinator.request(to, { json: { file } }, { timeoutMs: 60_000 })
    return `${from}: ${json.file}, ${json.lines} characters`
  }),
)
console.log(reports.join('\n'))
await Promise.all([coordinator, ...workers].map(agent => agent.close()))
