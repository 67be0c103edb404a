import { main } from './main.ts'

const code = await main(process.argv.slice(2))
// What is still open by now (a peer that does not answer, a keyboard) holds nobody up.
await Promise.all([process.stdout, process.stderr].map(stream => new Promise(done => stream.write('', done))))
process.exit(code)
