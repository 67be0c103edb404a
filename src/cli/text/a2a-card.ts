import type { AgentCard } from '../../client/node.ts'

/** Media types of messages. */
const modes = ['text/plain', 'application/json']

/**
 * Returns a card as an A2A `AgentCard` (protocol version 1.0, JSON names). Its interface speaks this protocol, not A2A:
 * `tenant` is the address to write to. It has no JWS, because an identity key signs only under the labels of this
 * protocol; an extension carries the signed card instead.
 */
export function toA2aCard(card: AgentCard, { address, url }: { address: string; url: string }): object {
  const { title, description = title, version = '0', capabilities, acceptsRequests, identity, signed } = card
  const toSkill = (tag: string) => ({ id: tag, name: tag, description, tags: [tag] })
  return {
    name: title,
    description,
    supportedInterfaces: [{ url, protocolBinding: 'aimessage.v1', tenant: address, protocolVersion: '1.0' }],
    version,
    capabilities: {
      streaming: false,
      pushNotifications: false,
      extendedAgentCard: false,
      extensions: [
        {
          uri: 'urn:aimessage:card:1',
          description: 'the card as its agent signed it: docs/E2E.md section 14',
          required: false,
          params: { address, identity, acceptsRequests, card: signed },
        },
      ],
    },
    defaultInputModes: modes,
    defaultOutputModes: modes,
    skills: capabilities.length > 0 ? capabilities.map(toSkill) : [{ ...toSkill('message'), tags: [] }],
  }
}
