/** What each odd DNS reply does to mail: rows 117 to 128 of the bad-input catalogue, through the real resolver and a fake server. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { type FakeZone, startFakeDns } from '../../test/support/fake-dns.ts'
import { openDns } from '../adapters/dns/dns.ts'
import type { DeliveryConfig } from '../config/compiled.ts'
import { systemClock } from '../kernel/clock.ts'
import { systemRandom } from '../kernel/random.ts'
import { createRouter, type RouteResult } from './route.ts'

const delivery: DeliveryConfig = {
  ehloName: 'out.ours.test',
  connectionsPerSite: 20,
  connectionsMax: 500,
  recipientsPerTransaction: 100,
  messagesPerConnection: 100,
  idleConnectionMs: 15_000,
  tls: 'opportunistic',
  port: 25,
}

type Ask = (domain: string) => Promise<RouteResult>

async function router(t: TestContext, zone: FakeZone, timeoutMs = 2_000): Promise<Ask> {
  const server = await startFakeDns(zone)
  t.after(() => server.close())
  const dns = openDns({
    config: { servers: [server.server], timeoutMs },
    clock: systemClock,
    random: systemRandom,
    interfaces: () => ({}),
  })
  t.after(() => dns.close())
  const made = createRouter({
    routes: [],
    delivery,
    hostname: 'mail.ours.test',
    dns,
    clock: systemClock,
    sandboxSink: null,
  })
  return async (domain) => made.route(domain)
}

/** "bounced 5.1.2", or the hosts of the site. */
async function fate(ask: Ask, domain: string): Promise<string> {
  const result = await ask(domain)
  if ('site' in result) return result.site.hosts.map(({ host }) => host).join(' ')
  const { kind, enhanced, code } = result.failure
  return `${kind} ${code === 0 ? '' : `${code} `}${enhanced}`
}

const MX = [[10, 'mx.example.net']] as const

test('row 117: NXDOMAIN bounces with 5.1.2', async (t) => {
  const ask = await router(t, {})
  assert.equal(await fate(ask, 'gone.test'), 'bounced 5.1.2')
})

test('row 118: SERVFAIL and timeouts defer with 4.4.3, saying who failed', async (t) => {
  const ask = await router(
    t,
    { 'fails.test': { fault: { kind: 'servfail' } }, 'silent.test': { fault: { kind: 'drop' } } },
    20,
  )
  assert.equal(await fate(ask, 'fails.test'), 'deferred 4.4.3')
  assert.equal(await fate(ask, 'silent.test'), 'deferred 4.4.3')
  const result = await ask('fails.test')
  assert.match(
    'failure' in result ? result.failure.text : '',
    /^DNS has no answer for fails\.test: 127\.0\.0\.1#\d+ answers SERVFAIL$/,
  )
})

test('row 119: without MX the domain itself is the exchanger; without address it bounces with 5.1.2', async (t) => {
  const ask = await router(t, {
    'host.test': { A: ['192.0.2.1'] },
    'text-only.test': { TXT: ['v=spf1 -all'] },
    'half.test': { fault: { kind: 'servfail', type: 'A' } },
  })
  assert.equal(await fate(ask, 'host.test'), 'host.test')
  assert.equal(await fate(ask, 'text-only.test'), 'bounced 5.1.2')
  assert.equal(await fate(ask, 'half.test'), 'deferred 4.4.3')
})

test('row 120: a null MX bounces with 556 5.1.10, even when the domain has an address', async (t) => {
  const ask = await router(t, {
    'null.test': { MX: [[0, '.']], A: ['192.0.2.1'] },
    'odd.test': {
      MX: [
        [0, '.'],
        [10, 'mx.odd.test'],
      ],
    },
  })
  assert.equal(await fate(ask, 'null.test'), 'bounced 556 5.1.10')
  assert.equal(await fate(ask, 'odd.test'), 'mx.odd.test')
})

test('row 121: an exchanger that is an alias stays an exchanger, and an aliased domain is followed', async (t) => {
  const ask = await router(t, {
    'a.test': { MX },
    'mx.example.net': { CNAME: 'host.test' },
    'alias.test': { CNAME: 'a.test' },
  })
  assert.equal(await fate(ask, 'a.test'), 'mx.example.net')
  assert.equal(await fate(ask, 'alias.test'), 'mx.example.net')
})

test('row 122: IP text for an exchanger is ignored; when nothing is left it bounces with 5.4.4', async (t) => {
  const ask = await router(t, {
    'ip.test': { MX: [[10, '192.0.2.1']] },
    'both.test': { MX: [[5, '192.0.2.1'], ...MX] },
  })
  assert.equal(await fate(ask, 'ip.test'), 'bounced 5.4.4')
  assert.equal(await fate(ask, 'both.test'), 'mx.example.net')
})

test('row 123: of 500 exchangers the first 20 by preference make the site', async (t) => {
  const many = Array.from({ length: 500 }, (_, i) => [i, `mx${i}.test`] as const)
  const ask = await router(t, { 'many.test': { MX: many.toReversed() } })
  assert.equal(
    await fate(ask, 'many.test'),
    many
      .slice(0, 20)
      .map(([, host]) => host)
      .join(' '),
  )
})

test('row 124: aliases in a circle bounce with 5.4.4', async (t) => {
  const ask = await router(t, { 'a.test': { CNAME: 'b.test' }, 'b.test': { CNAME: 'a.test' } })
  assert.equal(await fate(ask, 'a.test'), 'bounced 5.4.4')
})

test('row 125: a truncated reply is asked for over TCP', async (t) => {
  const ask = await router(t, { 'long.test': { MX, fault: { kind: 'truncated' } } })
  assert.equal(await fate(ask, 'long.test'), 'mx.example.net')
})

test('row 126: replies with another id or question are ignored, so mail waits for the right one', async (t) => {
  const ask = await router(
    t,
    {
      'id.test': { MX, fault: { kind: 'wrong-id' } },
      'question.test': { MX, fault: { kind: 'wrong-question' } },
      'once.test': { MX, fault: { kind: 'wrong-id', times: 1 } },
    },
    20,
  )
  assert.equal(await fate(ask, 'id.test'), 'deferred 4.4.3')
  assert.equal(await fate(ask, 'question.test'), 'deferred 4.4.3')
  assert.equal(await fate(ask, 'once.test'), 'mx.example.net')
})

test('row 127: a route is valid for its time to live, between a second and a day', async (t) => {
  const ask = await router(t, {
    'zero.test': { MX, ttl: 0 },
    'long.test': { MX, ttl: 2 ** 31 - 1 },
    'signed.test': { MX, ttl: 2 ** 31 },
  })
  const validForMs = async (domain: string): Promise<number> => {
    const result = await ask(domain)
    return 'site' in result ? result.validForMs : NaN
  }
  assert.equal(await validForMs('zero.test'), 1_000)
  assert.equal(await validForMs('signed.test'), 1_000)
  assert.equal(await validForMs('long.test'), 86_400_000)
})

test('row 128: a name over 253 characters bounces with 5.1.2', async (t) => {
  const ask = await router(t, {})
  assert.equal(await fate(ask, `${'a.'.repeat(125)}test`), 'bounced 5.1.2')
})
