import t from 'tap'
import { addressKey, isNetwork, siteKey, widerNetworks } from '../../../src/server/base/address-key.ts'

const keys: [string, string][] = [
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['::ffff:c000:207', '192.0.2.7'],
  ['0:0:0:0:0:FFFF:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2::', '2001:db8:1:2::/64'],
  ['2001:0db8:0001:0002::ffff', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:db8::1:0:0:0:1', '2001:db8:0:1::/64'],
  ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['', 'unknown'],
  ['unknown', 'unknown'],
  ['192.0.2.7:8080', 'unknown'],
  ['_hidden', 'unknown'],
  [`${'1'.repeat(100_000)}`, 'unknown'],
]

for (const [ip, key] of keys) {
  t.test(`${ip.slice(0, 40) || 'nothing'} counts as ${key}`, async t => {
    t.equal(addressKey(ip), key)
  })
}

t.test('addresses of one /64 count as one, of two as two', async t => {
  t.equal(addressKey('2001:db8:0:1::a'), addressKey('2001:db8:0:1:ffff:ffff:ffff:ffff'))
  t.not(addressKey('2001:db8:0:1::a'), addressKey('2001:db8:0:2::a'))
})

t.test('a proxy is an address or a CIDR', async t => {
  for (const text of ['10.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8', '10.0.0.0/1', '2001:db8::/128'])
    t.ok(isNetwork(text), text)
  for (const text of [
    '10.0.0.0/33',
    '10.0.0/8',
    'fd00::/129',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '1:2',
    '999.1.1.1',
    '10.0.0.0/-1',
    '0.0.0.0/0',
    '::/0',
    '10.0.0.0/00',
    '10.0.0.0/08',
    'x',
  ])
    t.notOk(isNetwork(text), text)
})

t.test('17.14 an IPv6 address counts for its /56 and /48 as well, an IPv4 address for itself only', async t => {
  t.same(widerNetworks(addressKey('2001:db8:1:2345::9')), [
    { key: '2001:db8:1:2300::/56', times: 4 },
    { key: '2001:db8:1:0::/48', times: 16 },
  ])
  t.same(widerNetworks(addressKey('2001:db8:1:23ff::1'))[0]?.key, '2001:db8:1:2300::/56')
  t.not(widerNetworks(addressKey('2001:db8:1:2400::1'))[0]?.key, '2001:db8:1:2300::/56')
  for (const ip of ['192.0.2.7', '::ffff:192.0.2.7', 'unknown']) t.same(widerNetworks(addressKey(ip)), [], ip)
  t.equal(siteKey(addressKey('2001:db8:1:2345::9')), '2001:db8:1:0::/48')
  t.equal(siteKey(addressKey('192.0.2.7')), '192.0.2.7')
})
