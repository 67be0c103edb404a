import mqtt from 'mqtt'

/** Connects one agent, subscribed at QoS 1; `send` resolves when the broker has taken the message. */
export async function connectAedes(port, name, onMessage) {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { clientId: name, clean: false })
  client.on('message', (_topic, payload) => onMessage(String(payload)))
  await client.subscribeAsync(`inbox/${name}`, { qos: 1 })
  return {
    send: (to, body) => client.publishAsync(`inbox/${to}`, body, { qos: 1 }),
    close: () => client.end(true),
  }
}
