import assert from 'node:assert/strict'
import { BlockList, isIP, SocketAddress } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseAddress, parseNetwork, samePrefix } from './network.ts'

const ipv4 = fc.ipV4()
/** With runs of zeros, which are left out in writing. */
const ipv6 = fc
  .array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
  .map((groups) => groups.map((group) => group.toString(16)).join(':'))
const address = fc.oneof(ipv4, ipv6, fc.ipV6())

test('any address is written in its one way, as the system writes it', () => {
  const property = fc.property(address, (text) => {
    const { cidr } = parseNetwork(text) ?? {}
    const family = isIP(text) === 4 ? 'ipv4' : 'ipv6'
    const system = new SocketAddress({ address: text, family }).address.replace(/^::ffff:(?=\d+\.)/, '')
    // Of addresses that begin with 96 zeros the system writes the rest with dots, which RFC 5952 §5 leaves to them.
    if (/^::\d+\.\d+\.\d+\.\d+$/.test(system)) return
    assert.equal(cidr, `${system}/${isIP(system) === 4 ? 32 : 128}`)
  })
  fc.assert(property, { numRuns: 2_000 })
})

test('what is no address is none, and what is one is', () => {
  const almost = fc.oneof(address, fc.stringMatching(/^[0-9a-f:.%]{0,20}$/), fc.string())
  const property = fc.property(almost, (text) => {
    assert.equal(parseAddress(text) !== null, isIP(text) !== 0 && !text.includes('%'), text)
  })
  fc.assert(property, { numRuns: 2_000 })
})

test('a network holds what a block list says that it holds', () => {
  const near = fc.tuple(address, fc.nat(128), fc.nat(127)).map(([text, prefix, bit]) => ({ text, prefix, bit }))
  const property = fc.property(near, address, ({ text, prefix }, other) => {
    const network = parseNetwork(`${text}/${prefix}`)
    if (network === null) return
    const family = network.words.length === 1 ? 'ipv4' : 'ipv6'
    const list = new BlockList()
    list.addSubnet(network.cidr.split('/')[0] as string, network.prefix, family)
    for (const candidate of [text, other]) {
      const found = parseAddress(candidate)
      if (found === null || found.words.length !== network.words.length) continue
      const plain = candidate.replace(/^::ffff:(?=\d+\.)/i, '')
      assert.equal(
        samePrefix(found.words, network.words, network.prefix),
        list.check(plain, isIP(plain) === 4 ? 'ipv4' : 'ipv6'),
        `${network.cidr} ${candidate}`,
      )
    }
  })
  fc.assert(property, { numRuns: 2_000 })
})

test('networks have no bits of a host, and IPv4 in IPv6’s clothes is IPv4 however it is written', () => {
  for (const [text, cidr] of [
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['192.0.2.7', '192.0.2.7/32'],
    ['255.255.255.255/1', '128.0.0.0/1'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:DB8::7/32', '2001:db8::/32'],
    ['2001:db8::1:0:0:1', '2001:db8::1:0:0:1/128'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3/128'],
    ['1:0:0:2:2:0:0:3', '1::2:2:0:0:3/128'],
    ['::/0', '::/0'],
    ['::1', '::1/128'],
    ['1::', '1::/128'],
    ['::ffff:10.1.2.3/104', '10.0.0.0/8'],
    ['::FFFF:a01:203/104', '10.0.0.0/8'],
    ['0:0:0:0:0:ffff:192.0.2.7', '192.0.2.7/32'],
    ['::ffff:0:0/96', '0.0.0.0/0'],
    ['::192.0.2.1', '::c000:201/128'],
    ['10.0.0.0/33', null],
    ['10.0.0.0/-1', null],
    ['10.0.0.0/', null],
    ['10.0.0.0/8/8', null],
    ['10.0.0/8', null],
    ['010.0.0.0/8', null],
    ['::/129', null],
    ['::ffff:10.0.0.0/8', null],
    ['::ffff:0:0/95', null],
    ['fe80::1%eth0', null],
    ['10.0.0.0/ 8', null],
    ['', null],
    ['x', null],
  ] as const)
    assert.equal(parseNetwork(text)?.cidr ?? null, cidr, text)
})
