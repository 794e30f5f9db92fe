import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dnsWorld, exchangersOf } from '../../../test/support/dns-world.ts'
import type { FakeZone } from '../../../test/support/fake-dns.ts'
import { VirtualClock } from '../../kernel/clock.ts'
import { dayMs, secondMs } from '../../kernel/units.ts'

test('exchangers come by rising preference, in lower case, with their time to live', async (t) => {
  const { dns } = await dnsWorld(t, {
    'example.com': {
      MX: [
        [20, 'B.example.com'],
        [10, 'a.example.com'],
      ],
      ttl: 300,
    },
  })
  const answer = await dns.mx('Example.COM.')
  assert.deepEqual(answer, {
    kind: 'mx',
    records: [
      { preference: 10, exchange: 'a.example.com' },
      { preference: 20, exchange: 'b.example.com' },
    ],
    ttlMs: 300_000,
  })
})

test('equal preferences are in random order, anew for each caller', async (t) => {
  const { dns } = await dnsWorld(t, {
    'example.com': {
      MX: [
        [10, 'a.test'],
        [10, 'b.test'],
        [10, 'c.test'],
        [5, 'best.test'],
      ],
    },
  })
  const orders = new Set<string>()
  for (let i = 0; i < 200; i++) orders.add(String(exchangersOf(await dns.mx('example.com'))))
  assert.equal(orders.size, 6)
  for (const order of orders) assert.ok(order.startsWith('best.test,'))
})

test('row 117: NXDOMAIN is no-domain, remembered for as long as its SOA says', async (t) => {
  const clock = new VirtualClock()
  const { dns, server } = await dnsWorld(t, { test: { SOA: { ttl: 900, minimum: 30 } } }, { clock })
  assert.deepEqual(await dns.mx('gone.test'), { kind: 'no-domain' })
  clock.advance(29 * secondMs)
  assert.deepEqual(await dns.mx('gone.test'), { kind: 'no-domain' })
  assert.equal(server.questions.length, 1)
  clock.advance(2 * secondMs)
  await dns.mx('gone.test')
  assert.equal(server.questions.length, 2)
})

test('row 118: SERVFAIL and silence are temporary, and stand for five seconds', async (t) => {
  const clock = new VirtualClock()
  const { dns, server } = await dnsWorld(t, { 'fails.test': { fault: { kind: 'servfail' } } }, { clock })
  assert.deepEqual(await dns.mx('fails.test'), { kind: 'temporary', reason: `${server.server} answers SERVFAIL` })
  await dns.mx('fails.test')
  assert.equal(server.questions.length, 1)
  clock.advance(5 * secondMs)
  await dns.mx('fails.test')
  assert.equal(server.questions.length, 2)
})

test('row 118: a silent server is asked twice, the second time for longer', async (t) => {
  const { dns, server } = await dnsWorld(t, { 'silent.test': { fault: { kind: 'drop' } } }, { timeoutMs: 20 })
  assert.deepEqual(await dns.mx('silent.test'), {
    kind: 'temporary',
    reason: `${server.server} does not answer within 40 ms`,
  })
  assert.equal(server.questions.length, 2)
})

test('row 119: NOERROR without records is no-data', async (t) => {
  const { dns } = await dnsWorld(t, { 'www.example.com': { A: ['192.0.2.1'] } })
  assert.deepEqual(await dns.mx('www.example.com'), { kind: 'no-data' })
  assert.deepEqual(await dns.mx('example.com'), { kind: 'no-data' }) // it exists by what is below it
})

test('row 120: the null MX is an empty exchanger', async (t) => {
  const { dns } = await dnsWorld(t, { 'example.com': { MX: [[0, '.']] } })
  assert.deepEqual(exchangersOf(await dns.mx('example.com')), [''])
})

test('row 121: an exchanger that is an alias is followed, and so is the domain itself', async (t) => {
  for (const leavesAliases of [false, true]) {
    const zone: FakeZone = {
      'example.com': { CNAME: 'example.net', ttl: 20 },
      'example.net': { MX: [[10, 'mx.example.net']], ttl: 300 },
      'mx.example.net': { CNAME: 'host.example.org' },
      'host.example.org': { A: ['192.0.2.7'] },
    }
    const { dns } = await dnsWorld(t, zone, { leavesAliases })
    assert.deepEqual(await dns.mx('example.com'), {
      kind: 'mx',
      records: [{ preference: 10, exchange: 'mx.example.net' }],
      ttlMs: 20_000,
    })
    const addresses = await dns.addresses('mx.example.net')
    assert.deepEqual(addresses.kind === 'addresses' && addresses.addresses, ['192.0.2.7'])
  }
})

test('an alias to nowhere does not exist', async (t) => {
  const { dns } = await dnsWorld(t, { 'example.com': { CNAME: 'gone.example.net' } })
  assert.deepEqual(await dns.mx('example.com'), { kind: 'no-domain' })
})

test('row 122: exchangers that are IP text or no names at all are ignored', async (t) => {
  const { dns } = await dnsWorld(t, {
    'mixed.test': {
      MX: [
        [5, '192.0.2.1'],
        [6, '[192.0.2.1]'],
        [7, 'bad name.test'],
        [10, 'mx_1.mixed.test'],
      ],
    },
    'only-ip.test': { MX: [[5, '192.0.2.1']] },
  })
  assert.deepEqual(exchangersOf(await dns.mx('mixed.test')), ['mx_1.mixed.test'])
  assert.deepEqual(exchangersOf(await dns.mx('only-ip.test')), [])
})

test('row 123: of 500 exchangers the first 20 by preference are taken, the same ones each time', async (t) => {
  const many = Array.from({ length: 500 }, (_, i) => [500 - i, `mx${i}.example.com`] as const)
  const equal = Array.from({ length: 500 }, (_, i) => [10, `mx${i}.example.net`] as const)
  const { dns, server } = await dnsWorld(t, { 'example.com': { MX: many, ttl: 1 }, 'example.net': { MX: equal } })
  assert.deepEqual(
    exchangersOf(await dns.mx('example.com')),
    Array.from({ length: 20 }, (_, i) => `mx${499 - i}.example.com`),
  )
  assert.deepEqual(
    server.questions.map(({ over }) => over),
    ['udp', 'tcp'],
  )
  const first = exchangersOf(await dns.mx('example.net'))
  assert.ok(Array.isArray(first) && first.length === 20)
  const second = exchangersOf(await dns.mx('example.net'))
  assert.ok(Array.isArray(second))
  assert.deepEqual(second.toSorted(), first.toSorted())
})

test('row 124, limit dns.aliases: eight aliases are followed, nine and circles are not', async (t) => {
  const zone: Record<string, FakeZone[string]> = {
    'a.circle.test': { CNAME: 'b.circle.test' },
    'b.circle.test': { CNAME: 'a.circle.test' },
    'self.circle.test': { CNAME: 'self.circle.test' },
  }
  for (let i = 0; i < 9; i++) zone[`alias${i}.test`] = { CNAME: `alias${i + 1}.test` }
  zone['alias9.test'] = { MX: [[10, 'mx.test']], A: ['192.0.2.9'] }
  for (const leavesAliases of [false, true]) {
    const { dns } = await dnsWorld(t, zone, { leavesAliases })
    assert.deepEqual(exchangersOf(await dns.mx('alias1.test')), ['mx.test'])
    assert.deepEqual(exchangersOf(await dns.mx('alias0.test')), [])
    assert.deepEqual(exchangersOf(await dns.mx('a.circle.test')), [])
    assert.deepEqual(exchangersOf(await dns.mx('self.circle.test')), [])
    assert.deepEqual(await dns.addresses('a.circle.test'), { kind: 'no-data' })
  }
})

test('row 125: a truncated reply is asked for again over TCP', async (t) => {
  const { dns, server } = await dnsWorld(t, {
    'example.com': { MX: [[10, 'mx.example.com']], fault: { kind: 'truncated' } },
  })
  assert.deepEqual(exchangersOf(await dns.mx('example.com')), ['mx.example.com'])
  assert.deepEqual(
    server.questions.map(({ over }) => over),
    ['udp', 'tcp'],
  )
})

test('row 125: truncated over TCP as well is temporary', async (t) => {
  const { dns } = await dnsWorld(t, {
    'example.com': { MX: [[10, 'mx.test']], fault: { kind: 'truncated', overTcp: true } },
  })
  const answer = await dns.mx('example.com')
  assert.equal(answer.kind, 'temporary')
})

test('row 126: replies with the wrong id, question or source are ignored', async (t) => {
  const MX = [[10, 'mx.test']] as const
  const { dns, server } = await dnsWorld(
    t,
    {
      'id.test': { MX, fault: { kind: 'wrong-id', times: 1 } },
      'question.test': { MX, fault: { kind: 'wrong-question', times: 1 } },
      'source.test': { MX, fault: { kind: 'wrong-source', times: 1 } },
      'always.test': { MX, fault: { kind: 'wrong-id' } },
    },
    { timeoutMs: 30 },
  )
  const answers = await Promise.all(
    ['id.test', 'question.test', 'source.test', 'always.test'].map((name) => dns.mx(name)),
  )
  assert.deepEqual(answers.map(exchangersOf), [['mx.test'], ['mx.test'], ['mx.test'], 'temporary'])
  assert.equal(server.questions.length, 8) // each was believed in the second round only
})

test('row 126: every question has its own id, port and letters', async (t) => {
  const { dns, server } = await dnsWorld(t, { '*.letters-in-random-case.test': { MX: [[10, 'mx.test']] } })
  for (let i = 0; i < 20; i++) await dns.mx(`n${i}.letters-in-random-case.test`)
  const distinct = (values: readonly unknown[]): number => new Set(values).size
  assert.ok(distinct(server.questions.map(({ id }) => id)) > 15)
  assert.ok(distinct(server.questions.map(({ port }) => port)) > 10)
  assert.ok(distinct(server.questions.map(({ asWritten }) => asWritten.replace(/^\w+\./, ''))) > 15)
})

test('a reply in other letters is believed over TCP only', async (t) => {
  const { dns, server } = await dnsWorld(t, {
    'example.com': { MX: [[10, 'mx.test']], fault: { kind: 'wrong-case', times: 1 } },
  })
  assert.deepEqual(exchangersOf(await dns.mx('example.com')), ['mx.test'])
  assert.deepEqual(
    server.questions.map(({ over }) => over),
    ['udp', 'tcp'],
  )
})

test('a server that loses the case is found out over TCP, then asked in lower case', async (t) => {
  const { dns, server } = await dnsWorld(t, { '*.example.com': { MX: [[10, 'mx.test']] } }, { losesCase: true })
  for (const name of ['one.example.com', 'two.example.com', 'three.example.com'])
    assert.deepEqual(exchangersOf(await dns.mx(name)), ['mx.test'])
  assert.deepEqual(
    server.questions.map(({ over }) => over),
    ['udp', 'tcp', 'udp', 'udp'],
  )
  assert.equal(server.questions.at(-1)?.asWritten, 'three.example.com')
})

test('a server that refuses EDNS is asked without it', async (t) => {
  const { dns, server } = await dnsWorld(t, { '*.example.com': { MX: [[10, 'mx.test']] } }, { refusesEdns: true })
  assert.deepEqual(exchangersOf(await dns.mx('one.example.com')), ['mx.test'])
  assert.deepEqual(exchangersOf(await dns.mx('two.example.com')), ['mx.test'])
  assert.equal(server.questions.length, 3)
})

test('row 127, limit dns.ttl, limit dns.ttl-min: times to live are clamped between a second and a day', async (t) => {
  const MX = [[10, 'mx.test']] as const
  const { dns } = await dnsWorld(t, {
    'zero.test': { MX, ttl: 0 },
    'one.test': { MX, ttl: 1 },
    'two.test': { MX, ttl: 2 },
    'shorter.test': { MX, ttl: 86_399 },
    'day.test': { MX, ttl: 86_400 },
    'longer.test': { MX, ttl: 86_401 },
    'week.test': { MX, ttl: 604_800 },
    'most.test': { MX, ttl: 2 ** 31 - 1 },
    'signed.test': { MX, ttl: 2 ** 31 }, // RFC 2181 §8: counts as zero
  })
  const ttlMs = async (name: string): Promise<number> => {
    const answer = await dns.mx(name)
    return answer.kind === 'mx' ? answer.ttlMs : NaN
  }
  assert.equal(await ttlMs('zero.test'), secondMs)
  assert.equal(await ttlMs('one.test'), secondMs)
  assert.equal(await ttlMs('two.test'), 2 * secondMs)
  assert.equal(await ttlMs('shorter.test'), dayMs - secondMs)
  assert.equal(await ttlMs('day.test'), dayMs)
  assert.equal(await ttlMs('longer.test'), dayMs)
  assert.equal(await ttlMs('week.test'), dayMs)
  assert.equal(await ttlMs('most.test'), dayMs)
  assert.equal(await ttlMs('signed.test'), secondMs)
})

test('row 128: names that DNS cannot carry do not exist, and nobody is asked', async (t) => {
  const { dns, server } = await dnsWorld(t, {})
  const label = 'a'.repeat(63)
  const longest = `${label}.${label}.${label}.${'a'.repeat(61)}` // 253 characters
  for (const name of [
    '',
    '.',
    '..',
    'a..b',
    `${label}a.test`,
    `${longest}a`,
    'exa mple.com',
    '192.0.2.1',
    'a\u0000b.test',
    'a@b',
    'münchen%2etest',
    'x'.repeat(9_999),
  ]) {
    assert.deepEqual(await dns.mx(name), { kind: 'no-domain' }, name)
  }
  assert.equal(server.questions.length, 0)
  await dns.mx(longest)
  await dns.mx(`${label}.test`)
  assert.equal(server.questions.length, 2)
})

test('U-labels are asked as A-labels', async (t) => {
  const { dns, server } = await dnsWorld(t, { 'xn--mnchen-3ya.example': { MX: [[10, 'mx.test']] } })
  assert.deepEqual(exchangersOf(await dns.mx('München.example')), ['mx.test'])
  assert.equal(server.questions[0]?.name, 'xn--mnchen-3ya.example')
})

test('addresses: IPv6 first where the machine has it, and not asked for elsewhere', async (t) => {
  const zone: FakeZone = {
    'mx.test': { A: ['192.0.2.1'], AAAA: ['2001:db8::25'] },
    'six.test': { AAAA: ['2001:db8::26'] },
  }
  const both = await dnsWorld(t, zone, { ipv6: true })
  assert.deepEqual(await both.dns.addresses('mx.test'), {
    kind: 'addresses',
    addresses: ['2001:db8::25', '192.0.2.1'],
    ttlMs: 60_000,
  })

  const four = await dnsWorld(t, zone)
  assert.deepEqual(await four.dns.addresses('mx.test'), { kind: 'addresses', addresses: ['192.0.2.1'], ttlMs: 60_000 })
  assert.deepEqual(await four.dns.addresses('six.test'), { kind: 'no-data' })
  assert.ok(four.server.questions.every(({ type }) => type === 'A'))
})

test('addresses: one family failing does not hide the other; without any, failing counts', async (t) => {
  const fault = { kind: 'servfail', type: 'AAAA' } as const
  const { dns } = await dnsWorld(t, { 'mx.test': { A: ['192.0.2.1'], fault }, 'none.test': { fault } }, { ipv6: true })
  assert.deepEqual(await dns.addresses('mx.test'), { kind: 'addresses', addresses: ['192.0.2.1'], ttlMs: 60_000 })
  assert.equal((await dns.addresses('none.test')).kind, 'temporary')
  assert.deepEqual(await dns.addresses('gone.test'), { kind: 'no-domain' })
})

test('addresses: an IP address is its own', async (t) => {
  const { dns, server } = await dnsWorld(t, {})
  assert.deepEqual(await dns.addresses('127.0.0.1'), { kind: 'addresses', addresses: ['127.0.0.1'], ttlMs: dayMs })
  assert.deepEqual(await dns.addresses('::1'), { kind: 'addresses', addresses: ['::1'], ttlMs: dayMs })
  assert.equal(server.questions.length, 0)
})

test('addresses: at most 32', async (t) => {
  const A = Array.from({ length: 40 }, (_, i) => `192.0.2.${i}`)
  const { dns } = await dnsWorld(t, { 'mx.test': { A } })
  const answer = await dns.addresses('mx.test')
  assert.equal(answer.kind === 'addresses' && answer.addresses.length, 32)
})

test('texts are joined from their strings, follow aliases, and are asked for anew each time', async (t) => {
  const long = `v=DKIM1; k=rsa; p=${'k'.repeat(400)}`
  const { dns, server } = await dnsWorld(t, {
    'key._domainkey.a.test': { TXT: [long, 'ü'] },
    'alias.test': { CNAME: 'key._domainkey.a.test' },
    'empty.test': { A: ['192.0.2.1'] },
    'broken.test': { fault: { kind: 'servfail' } },
  })
  for (const name of ['KEY._domainkey.a.test.', 'alias.test']) {
    const answer = await dns.txt(name)
    assert.deepEqual(answer.kind === 'txt' && answer.records, [long, 'Ã¼'])
  }
  assert.deepEqual(await dns.txt('empty.test'), { kind: 'no-data' })
  assert.deepEqual(await dns.txt('nowhere.test'), { kind: 'no-domain' })
  assert.deepEqual(await dns.txt('not a name'), { kind: 'no-domain' })
  assert.equal((await dns.txt('broken.test')).kind, 'temporary')
  // Published a moment after somebody asked for it.
  server.zone.set('nowhere.test', { TXT: ['here'] })
  const answer = await dns.txt('nowhere.test')
  assert.deepEqual(answer.kind === 'txt' && answer.records, ['here'])
})
