import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { DeliveryConfig, RouteConfig } from '../config/compiled.ts'
import { VirtualClock } from '../kernel/clock.ts'
import { PosthasteError } from '../kernel/errors.ts'
import type { Site } from '../model/site.ts'
import type { AddressAnswer, Dns, MxAnswer, TextAnswer } from '../ports/dns.ts'
import { createRouter, type RouteResult, type Router, type RouterOptions } from './route.ts'
import { SiteTable } from './sites.ts'

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

type Exchangers = readonly (readonly [preference: number, exchange: string])[]

/** DNS as plain data. What is not in it does not exist. */
class PaperDns implements Dns {
  readonly exchangers = new Map<string, Exchangers>()
  readonly asked: string[] = []
  ttlMs = 60_000

  mx(domain: string): Promise<MxAnswer> {
    this.asked.push(domain)
    const records = this.exchangers.get(domain)?.map(([preference, exchange]) => ({ preference, exchange }))
    return Promise.resolve(records === undefined ? { kind: 'no-domain' } : { kind: 'mx', records, ttlMs: this.ttlMs })
  }

  addresses(): Promise<AddressAnswer> {
    return Promise.resolve({ kind: 'no-data' })
  }

  txt(): Promise<TextAnswer> {
    return Promise.resolve({ kind: 'no-data' })
  }

  close(): void {}
}

function world(options: Partial<RouterOptions> = {}): { router: Router; dns: PaperDns; clock: VirtualClock } {
  const dns = new PaperDns()
  const clock = new VirtualClock()
  const router = createRouter({
    routes: [],
    delivery,
    hostname: 'mail.ours.test',
    dns,
    clock,
    sandboxSink: null,
    ...options,
  })
  return { router, dns, clock }
}

const route = (domain: string, host: string, more: Partial<RouteConfig> = {}): RouteConfig => ({
  domain,
  host,
  port: 25,
  tls: 'opportunistic',
  credentials: null,
  ...more,
})

function siteOf(result: RouteResult | Promise<RouteResult>): Site {
  assert.ok(!(result instanceof Promise), 'expected an answer at once')
  assert.ok('site' in result, 'expected a site')
  return result.site
}

async function siteFor(router: Router, domain: string): Promise<Site> {
  return siteOf(await router.route(domain))
}

async function failureFor(router: Router, domain: string): Promise<string> {
  const result = await router.route(domain)
  assert.ok('failure' in result, 'expected a failure')
  return `${result.failure.kind} ${result.failure.stage} ${result.failure.enhanced}`
}

test('exact routes come before the longest parent, that before "*", and all before DNS', () => {
  const { router, dns } = world({
    routes: [
      route('*', 'rest.test'),
      route('*.example.com', 'children.test'),
      route('*.eu.example.com', 'grandchildren.test'),
      route('example.com', 'exact.test'),
      route('deep.eu.example.com', '127.0.0.1', { port: 2526 }),
    ],
  })
  const host = (domain: string): string | undefined => siteOf(router.route(domain)).hosts[0]?.host
  assert.equal(host('example.com'), 'exact.test')
  assert.equal(host('www.example.com'), 'children.test')
  assert.equal(host('a.b.c.example.com'), 'children.test')
  assert.equal(host('eu.example.com'), 'children.test')
  assert.equal(host('x.eu.example.com'), 'grandchildren.test')
  assert.equal(host('deep.eu.example.com'), '127.0.0.1')
  assert.equal(host('notexample.com'), 'rest.test')
  assert.equal(host('[192.0.2.1]'), 'rest.test')
  assert.equal(dns.asked.length, 0)
})

test('a route gives a trusted site, shared by all routes with the same next hop', () => {
  const credentials = { user: 'app', password: 'secret' }
  const { router } = world({
    routes: [
      route('a.test', '127.0.0.1', { port: 2526, tls: 'never' }),
      route('b.test', '127.0.0.1', { port: 2526, tls: 'never' }),
      route('c.test', 'relay.example.net', { port: 587, tls: 'verified', credentials }),
      route('d.test', 'relay.example.net', { port: 587, tls: 'verified' }),
      route('münchen.example', 'relay.example.net'),
    ],
  })
  assert.equal(siteOf(router.route('a.test')), siteOf(router.route('b.test')))
  assert.deepEqual(
    router.sites().map(({ id, name }) => `${id} ${name}`),
    [
      '0 [127.0.0.1]:2526/never',
      '1 app@[relay.example.net]:587/verified',
      '2 [relay.example.net]:587/verified',
      '3 [relay.example.net]:25',
    ],
  )
  assert.deepEqual(siteOf(router.route('c.test')).credentials, credentials)
  assert.equal(siteOf(router.route('xn--mnchen-3ya.example')).name, '[relay.example.net]:25')
  assert.ok(router.sites().every(({ trusted }) => trusted))
})

test('two passwords for one user at one host are refused, with the cure', () => {
  const login = (password: string): Partial<RouteConfig> => ({ credentials: { user: 'app', password } })
  assert.throws(
    () => world({ routes: [route('a.test', 'relay.test', login('one')), route('b.test', 'relay.test', login('two'))] }),
    (error) =>
      error instanceof PosthasteError &&
      error.exitCode === 78 &&
      !/one|two /.test(error.message.replace('two routes', '')),
  )
})

test('in the sandbox everything goes to the sink, whatever the routes say', () => {
  const { router, dns } = world({
    routes: [route('*', 'relay.test')],
    sandboxSink: { address: '127.0.0.1', port: 2526 },
  })
  const site = siteOf(router.route('example.com'))
  assert.deepEqual(site.hosts, [{ host: '127.0.0.1', preference: 0 }])
  assert.equal(site.trusted, true)
  assert.equal(siteOf(router.route('[192.0.2.1]')), site)
  assert.equal(router.sites().length, 1)
  assert.equal(dns.asked.length, 0)
})

test('the same exchangers in the same order are one site, whatever their numbers', async () => {
  const { router, dns } = world()
  dns.exchangers.set('a.test', [
    [1, 'mx1.test'],
    [5, 'mx2.test'],
    [5, 'mx3.test'],
  ])
  dns.exchangers.set('b.test', [
    [10, 'mx1.test'],
    [20, 'mx3.test'],
    [20, 'mx2.test'],
  ])
  dns.exchangers.set('c.test', [
    [10, 'mx2.test'],
    [20, 'mx1.test'],
    [20, 'mx3.test'],
  ])
  const a = await siteFor(router, 'a.test')
  assert.equal(a.name, 'mx1.test,mx2.test+mx3.test:25')
  assert.equal(a.trusted, false)
  assert.equal(a.connectionsMax, 20)
  assert.equal(await siteFor(router, 'b.test'), a)
  // RFC 5321 §5.1: another order is another site, or its mail would go to the backup first.
  assert.notEqual(await siteFor(router, 'c.test'), a)
})

test('a known domain is answered at once until its time is over; many askers share one question', async () => {
  const { router, dns, clock } = world()
  dns.exchangers.set('a.test', [[1, 'mx1.test']])
  const [first, second] = await Promise.all([router.route('a.test'), router.route('a.test')])
  assert.equal(first, second)
  clock.advance(20_000)
  const again = router.route('a.test')
  assert.deepEqual(again, { site: siteOf(first), validForMs: 40_000 })
  assert.equal(dns.asked.length, 1)
  clock.advance(40_000)
  await router.route('a.test')
  assert.equal(dns.asked.length, 2)
})

test('limit route.failure: a failure is known for five seconds, then DNS is asked again', async () => {
  const { router, dns, clock } = world()
  assert.equal(await failureFor(router, 'new.test'), 'bounced resolve 5.1.2')
  clock.advance(4_999)
  assert.ok(!(router.route('new.test') instanceof Promise))
  dns.exchangers.set('new.test', [[1, 'mx.test']])
  clock.advance(1)
  assert.equal((await siteFor(router, 'new.test')).name, 'mx.test:25')
})

test('a changed exchanger set is a new site; the old one goes once nobody uses it', async () => {
  const { router, dns, clock } = world({ routes: [route('fixed.test', '127.0.0.1')] })
  dns.exchangers.set('a.test', [[1, 'old.test']])
  const old = await siteFor(router, 'a.test')
  dns.exchangers.set('a.test', [[1, 'new.test']])
  clock.advance(60_000)
  const current = await siteFor(router, 'a.test')
  assert.notEqual(current.id, old.id)
  assert.equal(router.sites().length, 3)

  assert.equal(
    router.prune((site) => site === old),
    0,
  )
  assert.equal(
    router.prune(() => false),
    1,
  ) // the route's own and the one that a.test leads to now stay
  assert.deepEqual(
    router.sites().map(({ name }) => name),
    ['[127.0.0.1]:25', 'new.test:25'],
  )
  dns.exchangers.set('b.test', [[1, 'third.test']])
  assert.equal((await siteFor(router, 'b.test')).id, old.id)
})

test('ourselves among the exchangers: they and the ones behind are left out, and alone it is a loop', async () => {
  const { router, dns } = world()
  dns.exchangers.set('backup.test', [
    [10, 'mx.test'],
    [20, 'mail.ours.test'],
    [20, 'equal.test'],
    [30, 'behind.test'],
  ])
  dns.exchangers.set('ehlo.test', [
    [10, 'mx.test'],
    [20, 'out.ours.test'],
  ])
  dns.exchangers.set('loop.test', [
    [10, 'mail.ours.test'],
    [20, 'behind.test'],
  ])
  assert.equal((await siteFor(router, 'backup.test')).name, 'mx.test:25')
  assert.equal((await siteFor(router, 'ehlo.test')).name, 'mx.test:25')
  assert.equal(await failureFor(router, 'loop.test'), 'bounced route 5.4.6')
})

test('an address literal bounces with 5.7.1 unless a route is for it', async () => {
  const { router, dns } = world({ routes: [route('[192.0.2.7]', '192.0.2.7')] })
  assert.equal(await failureFor(router, '[192.0.2.1]'), 'bounced route 5.7.1')
  assert.equal(siteOf(router.route('[192.0.2.7]')).name, '[192.0.2.7]:25')
  assert.equal(dns.asked.length, 0)
})

test('failure texts hold no control characters and at most 512 characters', async () => {
  const { router } = world()
  const result = await router.route(`a\r\nb\u0000${'x'.repeat(600)}.test`)
  assert.ok('failure' in result)
  assert.ok(result.failure.text.startsWith('a\\x0d\\x0ab\\x00xxx'))
  assert.equal(result.failure.text.length, 512)
})

test('limit route.sites: one below, at it, one above, and again when one is forgotten', () => {
  const site = (name: string): Omit<Site, 'id'> => ({
    name,
    hosts: [],
    port: 25,
    tls: 'never',
    credentials: null,
    trusted: false,
    connectionsMax: 1,
  })
  const table = new SiteTable(2)
  assert.equal(table.add(site('a'))?.id, 0)
  assert.equal(table.add(site('b'))?.id, 1)
  assert.equal(table.add(site('c')), null)
  assert.equal(
    table.prune(({ name }) => name === 'b'),
    1,
  )
  assert.equal(table.add(site('c'))?.id, 0)
})
