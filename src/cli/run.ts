import { version } from '../server/base/version.ts'

const argv = process.argv.slice(2)
if (argv.length === 1 && argv[0] === '--version') {
  process.stdout.write(`${version()}\n`)
} else {
  const { main } = await import('./main.ts')
  const code = await main(argv)
  // Exit even if something is still open, such as a connection to a peer that does not answer, or the keyboard.
  await Promise.all([process.stdout, process.stderr].map(stream => new Promise(done => stream.write('', done))))
  process.exit(code)
}
