import t from 'tap'
import { type ClientFrameType, type ConnectionState, clientFrames } from '../../../src/protocol/frames.ts'
import { refusalIn } from '../../../src/server/rate-limits/frame-rules.ts'

const states: ConnectionState[] = ['challenged', 'authenticated', 'listening']

/** docs/PROTOCOL.md section 2 in full: the error for each frame in each state; `-` means handled. */
const table: Record<ClientFrameType, [string, string, string]> = {
  register: ['-', 'bad_frame', 'bad_frame'],
  authenticate: ['-', 'bad_frame', 'bad_frame'],
  listen: ['unauthorized', '-', '-'],
  stop: ['unauthorized', 'not_listening', '-'],
  send: ['unauthorized', '-', '-'],
  key_exchange: ['unauthorized', '-', '-'],
  ack: ['unauthorized', 'not_listening', '-'],
  list_users: ['unauthorized', '-', '-'],
  publish_card: ['unauthorized', '-', '-'],
  fetch_card: ['unauthorized', '-', '-'],
  publish_keys: ['unauthorized', '-', '-'],
  fetch_keys: ['unauthorized', '-', '-'],
  reserve: ['unauthorized', '-', '-'],
  sessions: ['unauthorized', '-', '-'],
  end_sessions: ['unauthorized', '-', '-'],
  privacy: ['unauthorized', '-', '-'],
  set_rule: ['unauthorized', '-', '-'],
  list_rules: ['unauthorized', '-', '-'],
  heartbeat: ['-', '-', '-'],
  logout: ['unauthorized', '-', '-'],
}

// Evidence: W12
t.test('each state handles or refuses each frame', async t => {
  t.same(Object.keys(table), Object.keys(clientFrames), 'the table is complete')
  const isType = (name: string): name is ClientFrameType => Object.hasOwn(clientFrames, name)
  for (const type of Object.keys(table).filter(isType)) {
    for (const [index, state] of states.entries()) {
      t.equal(refusalIn(state, type)?.code ?? '-', table[type][index], `${type} when ${state}`)
    }
  }
})
