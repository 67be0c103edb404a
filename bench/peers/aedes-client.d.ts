import type { Agent } from '../systems/system.ts'

export function connectAedes(port: number, name: string, onMessage: (body: string) => void): Promise<Agent>
