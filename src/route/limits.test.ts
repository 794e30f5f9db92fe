/** Bounds of routing at their edge: one below, at it, one above. Those of sites and failures are in route.test.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sandboxConfig } from '../config/config.ts'
import { VirtualClock } from '../kernel/clock.ts'
import type { Dns } from '../ports/dns.ts'
import { noRoute } from './failure.ts'
import { KnownDomains } from './known.ts'
import { domainsMax, implicitMsMax } from './limits.ts'
import { createRouter, type Router } from './route.ts'

const { delivery } = sandboxConfig('unused').config

function routerOver(dns: Dns): Router {
  const clock = new VirtualClock()
  return createRouter({ routes: [], delivery, hostname: 'mail.ours.test', dns, clock, sandboxSink: null })
}

test('limit route.domains: so many are known, one more costs the longest known its place', () => {
  const failure = noRoute('noAddress', 'a.test')
  const known = new KnownDomains(domainsMax.value)
  for (let i = 1; i < domainsMax.value; i++) known.set(`n${i}.test`, { failure }, 1)
  assert.notEqual(known.get('n1.test'), undefined)
  known.set('the-last-that-fits.test', { failure }, 1)
  assert.notEqual(known.get('n1.test'), undefined)
  known.set('one-more.test', { failure }, 1)
  assert.equal(known.get('n1.test'), undefined)
  assert.equal(known.live(0).length, domainsMax.value)
})

test('limit route.implicit: an address in place of exchangers is believed for an hour, however long it stays true', async () => {
  for (const ttlMs of [implicitMsMax.value - 1, implicitMsMax.value, implicitMsMax.value + 1]) {
    const router = routerOver({
      mx: async () => ({ kind: 'no-data' }),
      addresses: async () => ({ kind: 'addresses', addresses: ['192.0.2.1'], ttlMs }),
      txt: async () => ({ kind: 'no-data' }),
      close() {},
    })
    const result = await router.route('a.test')
    assert.equal('site' in result && result.validForMs, Math.min(ttlMs, implicitMsMax.value))
  }
})
