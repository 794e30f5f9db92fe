import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Network, parseAddress, parseNetwork, samePrefix } from '../standards/network.ts'
import { NetworkMap } from './networks.ts'

/** Few bits and many lengths, so that they hold one another. */
const cidr = fc.oneof(
  fc.tuple(fc.nat(3), fc.nat(3), fc.integer({ min: 1, max: 32 })).map(([a, b, bits]) => `10.${a}.${b}.129/${bits}`),
  fc
    .tuple(fc.nat(3), fc.nat(3), fc.integer({ min: 1, max: 128 }))
    .map(([a, b, bits]) => `2001:db8:${a}::${b}:1/${bits}`),
)
const change = fc.record({ cidr, add: fc.boolean() })

const specific = (networks: Iterable<Network>, words: readonly number[]): string | undefined =>
  [...networks]
    .filter((one) => one.words.length === words.length && samePrefix(one.words, words, one.prefix))
    .sort((one, other) => other.prefix - one.prefix)[0]?.cidr

test('whatever was put in and taken out, the most specific of what is left is found', () => {
  const property = fc.property(
    fc.array(change, { maxLength: 60 }),
    fc.array(cidr, { minLength: 1 }),
    (steps, asked) => {
      const map = new NetworkMap<string>()
      const left = new Map<string, Network>()
      for (const step of steps) {
        const network = parseNetwork(step.cidr) as Network
        assert.equal(map.get(network), left.get(network.cidr)?.cidr)
        if (step.add) {
          map.set(network, network.cidr)
          left.set(network.cidr, network)
        } else {
          map.delete(network)
          left.delete(network.cidr)
        }
      }
      for (const text of asked) {
        const address = parseAddress(text.split('/')[0] as string)
        assert.ok(address)
        assert.equal(map.find(address), specific(left.values(), address.words), text)
      }
    },
  )
  fc.assert(property, { numRuns: 500 })
})
