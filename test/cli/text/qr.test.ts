import { decodeQR } from 'qr/decode.js'
import t from 'tap'
import { paintFor } from '../../../src/cli/base/paint.ts'
import { numberRows } from '../../../src/cli/text/peer-text.ts'
import { drawQr } from '../../../src/cli/text/qr.ts'

const number = '147450295536271414595881314074240324888952841942729402085326'
const plain = paintFor({}, {})
const coloured = paintFor({ isTTY: true }, {})

/** Returns the image that a camera would take: a drawn half block is white, and a module has several pixels. */
function photograph(rows: readonly string[], scale: number) {
  const modules = rows.flatMap(row => {
    const characters = [...row]
    return [characters.map(half => '█▀'.includes(half)), characters.map(half => '█▄'.includes(half))]
  })
  const width = (modules[0]?.length ?? 0) * scale
  const height = modules.length * scale
  const data = new Uint8Array(width * height * 4)
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) {
      const isLight = modules[Math.floor(y / scale)]?.[Math.floor(x / scale)] ?? false
      const at = (y * width + x) * 4
      data.fill(isLight ? 255 : 0, at, at + 3)
      data[at + 3] = 255
    }
  return { width, height, data }
}

t.test('a scanner reads the drawn code', async t => {
  for (const text of [number, 'tD5r9Vhc1lzLEfVnUcIcFFNQsbpWa88p299i81_0mxM'])
    t.equal(decodeQR(photograph(drawQr(text, plain), 4)), text)
})

t.test('the code has a quiet margin', async t => {
  const rows = drawQr(number, plain)
  for (const row of [...rows.slice(0, 2), ...rows.slice(-2)]) t.match(row, /^█+$/)
  for (const row of rows) t.match(row, /^████.*████$/)
})

t.test('on a terminal with colours the code sets its own, so that it does not depend on the theme', async t => {
  const bare = drawQr(number, plain)
  t.same(
    drawQr(number, coloured),
    bare.map(row => `\x1b[97m\x1b[40m${row}\x1b[49m\x1b[39m`),
  )
})

t.test('a safety number is shown in groups of five digits', async t => {
  t.same(numberRows(number), ['14745 02955 36271 41459', '58813 14074 24032 48889', '52841 94272 94020 85326'])
})
