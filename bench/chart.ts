import type { Row } from './workloads/workload.ts'

const [width, rowHeight, labelWidth, barWidth] = [720, 34, 220, 380]
const escapeXml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

/** Draws horizontal bars of CPU time per message, in µs: the server's part and the part of Redis. */
export function toSvg(title: string, rows: readonly Row[]): string {
  const total = (row: Row) => row.values['CPU µs'] ?? 0
  const scale = barWidth / Math.max(...rows.map(total), 1)
  const bars = rows.map((row, at) => {
    const y = 50 + at * rowHeight
    const redis = (row.values['Redis CPU µs'] ?? 0) * scale
    const server = total(row) * scale - redis
    return [
      `<text x="${labelWidth - 10}" y="${y + 15}" text-anchor="end">${escapeXml(row.system)}</text>`,
      `<rect x="${labelWidth}" y="${y}" width="${server.toFixed(1)}" height="20" fill="#3b6ea8"/>`,
      `<rect x="${(labelWidth + server).toFixed(1)}" y="${y}" width="${redis.toFixed(1)}" height="20" fill="#c0563b"/>`,
      `<text x="${(labelWidth + total(row) * scale + 8).toFixed(1)}" y="${y + 15}">${total(row).toFixed(1)} µs</text>`,
    ].join('\n')
  })
  const height = 70 + rows.length * rowHeight
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
      `viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="14">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="20" y="28" font-size="16">${escapeXml(title)}</text>`,
    ...bars,
    `<text x="${labelWidth}" y="${height - 8}" fill="#3b6ea8">server</text>`,
    `<text x="${labelWidth + 70}" y="${height - 8}" fill="#c0563b">Redis</text>`,
    '</svg>',
    '',
  ].join('\n')
}
