// The tests start real Redis servers. Where there is none, this gets one and says so, or says what to install.
import { spawnSync } from 'node:child_process'

const minVersion = 7

/** Version of the `redis-server` on the path, or null. */
function findRedis() {
  const { stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' })
  const version = /v=(\d+)[\d.]*/.exec(stdout ?? '')
  return version && { text: version[0].slice(2), major: Number(version[1]) }
}

const isThere = (command, args = ['--version']) => spawnSync(command, args, { stdio: 'ignore' }).status === 0

/** How this machine installs Redis without asking anything, or null. */
function chooseInstaller() {
  if (isThere('brew')) return [['brew', 'install', 'redis']]
  if (!isThere('apt-get')) return null
  const isRoot = process.getuid?.() === 0
  if (!isRoot && !isThere('sudo', ['-n', 'true'])) return null
  const apt = isRoot ? ['apt-get'] : ['sudo', '-n', 'apt-get']
  return [
    [...apt, 'update', '-qq'],
    [...apt, 'install', '-qq', '-y', '--no-install-recommends', 'redis-server'],
  ]
}

function install(commands) {
  for (const [command, ...args] of commands) {
    console.log(`No redis-server here, and the tests need one: ${[command, ...args].join(' ')}`)
    const { status } = spawnSync(command, args, {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', HOMEBREW_NO_AUTO_UPDATE: '1' },
    })
    if (status !== 0) return
  }
}

if (!findRedis()) install(chooseInstaller() ?? [])
const found = findRedis()
if (!found || found.major < minVersion) {
  console.error(
    `${found ? `redis-server ${found.text} is too old` : 'No redis-server'}: please install Redis ${minVersion} or later ` +
      '("apt-get install redis-server", "brew install redis", or https://redis.io/docs/latest/operate/oss_and_stack/install) and run this again.',
  )
  process.exitCode = 1
}
