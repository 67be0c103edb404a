import { freePort } from '../../tools/servers/redis.ts'

/** Reads the metrics of one node that was started with `env`. */
type NodeMetrics = { env: Record<string, string>; read(name: string): Promise<number> }

export async function chooseMetrics(): Promise<NodeMetrics> {
  const port = String(await freePort())
  const read = async (name: string) => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1] ?? Number.NaN)
  }
  return { env: { METRICS_PORT: port }, read }
}
