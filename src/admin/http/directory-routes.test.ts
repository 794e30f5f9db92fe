/** The directory over HTTP: every verb once as it should be, and every way to ask wrongly. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adminRig, type AdminRig, type Answered } from '../../../test/support/admin-rig.ts'
import { failures } from '../../model/failures.ts'

const codeOf = ({ status, body }: Answered): [number, string, string?] =>
  body.pointer === undefined ? [status, body.code] : [status, body.code, body.pointer]

test('tenants: made, listed by pages, found by id and name, renamed, suspended, resumed', async (t) => {
  const { call, clock } = await adminRig(t)
  const acme = await call('POST', '/tenants', { name: 'acme' })
  assert.equal(acme.status, 201)
  assert.deepEqual(Object.keys(acme.body), ['id', 'name', 'suspended', 'created_at'])
  assert.match(acme.body.created_at, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  for (const name of ['beta', 'gamma']) {
    clock.advance(1)
    await call('POST', '/tenants', { name })
  }
  const first = (await call('GET', '/tenants?limit=2')).body
  assert.deepEqual([first.tenants.length, first.next], [2, first.tenants[1].id])
  const second = (await call('GET', `/tenants?limit=2&after=${first.next}`)).body
  assert.deepEqual([second.tenants[0].name, second.tenants.length, second.next], ['gamma', 1, null])
  for (const called of ['acme', acme.body.id])
    assert.deepEqual((await call('GET', `/tenants/${called}`)).body, acme.body)
  assert.equal((await call('PATCH', '/tenants/acme', { name: 'acme-2' })).body.name, 'acme-2')
  assert.equal((await call('POST', '/tenants/acme-2/suspend')).body.suspended, true)
  assert.equal((await call('POST', '/tenants/acme-2/resume', {})).body.suspended, false)

  assert.deepEqual(codeOf(await call('GET', '/tenants/acme')), [404, 'tenant_unknown'])
  assert.deepEqual(codeOf(await call('POST', '/tenants', { name: 'beta' })), [409, 'tenant_name_taken'])
  assert.deepEqual(codeOf(await call('POST', '/tenants', { name: 'Be ta' })), [422, 'invalid_value', '/name'])
  assert.equal((await call('POST', '/tenants', [])).body.detail, 'the body is not an object')
  assert.deepEqual(codeOf(await call('GET', '/tenants?limit=0')), [400, 'bad_limit'])
  assert.deepEqual(codeOf(await call('GET', '/tenants?after=a&after=b')), [400, 'repeated_parameter'])
})

test('a tenant that is named as another one’s id does not stand in its way', async (t) => {
  const { call } = await adminRig(t)
  const { id } = (await call('POST', '/tenants', { name: 'acme' })).body
  await call('POST', '/tenants', { name: id })
  assert.equal((await call('GET', `/tenants/${id}`)).body.name, 'acme')
})

test('a key is told once, listed without its secret, and opens nothing once it is revoked', async (t) => {
  const { call, directory } = await adminRig(t)
  await call('POST', '/tenants', { name: 'acme' })
  const expires = '2030-01-31T12:00:00Z'
  const asked = { name: 'shop', scopes: ['send'], networks: ['10.0.0.0/8'], expires_at: expires }
  const made = await call('POST', '/tenants/acme/keys', asked)
  assert.equal(made.status, 201)
  assert.match(made.body.secret, /^ph_live_/)
  assert.deepEqual([made.body.name, made.body.expires_at], ['shop', '2030-01-31T12:00:00.000Z'])
  const { secret, ...shown } = made.body
  assert.deepEqual((await call('GET', '/tenants/acme/keys')).body, { keys: [shown] })
  assert.ok(!JSON.stringify(shown).includes(secret.slice(10, 30)))
  assert.notEqual((await call('DELETE', `/tenants/acme/keys/${shown.id}`)).body.revoked_at, null)
  assert.deepEqual(directory.snapshot().intake[0]?.keys, [])
  assert.deepEqual(codeOf(await call('DELETE', '/tenants/acme/keys/shop')), [404, 'key_unknown'])

  const key = { name: 'k', scopes: ['send'] }
  for (const [body, pointer] of [
    [{ ...key, scope: ['send'] }, '/scope'],
    [{ ...key, scopes: 'send' }, '/scopes'],
    [{ ...key, scopes: [1] }, '/scopes'],
    [{ ...key, scopes: ['admin'] }, '/scopes/0'],
    [{ name: 'k' }, '/scopes'],
    [{ ...key, name: 7 }, '/name'],
    [{ ...key, networks: ['10.0.0.0/8', '0.0.0.0/0'] }, '/networks/1'],
    [{ ...key, expires_at: 'tomorrow' }, '/expires_at'],
    [{ ...key, expires_at: '2001-01-01T00:00:00Z' }, '/expires_at'],
    [{ ...key, 'a/b~c': 1 }, '/a~1b~0c'],
    [[], ''],
    ['"text"', ''],
    ['null', ''],
    [undefined, ''],
    ['{"__proto__": {"name": "x"}}', '/__proto__'],
  ] as const) {
    const refused = await call('POST', '/tenants/acme/keys', body)
    assert.deepEqual(codeOf(refused), [422, 'invalid_value', pointer], JSON.stringify(body))
  }
  assert.equal((await call('GET', '/tenants/acme/keys')).body.keys.length, 1)
})

test('logins: with a user or without one, revoked by user or id', async (t) => {
  const { call } = await adminRig(t)
  await call('POST', '/tenants', { name: 'acme' })
  const made = await call('POST', '/tenants/acme/logins', { user: 'app', networks: ['192.0.2.7'] })
  assert.match(made.body.password, /^ph_smtp_/)
  assert.match((await call('POST', '/tenants/acme/logins')).body.user, /^user-/)
  assert.deepEqual(codeOf(await call('POST', '/tenants/acme/logins', { user: 'app' })), [409, 'login_taken'])
  assert.equal((await call('DELETE', '/tenants/acme/logins/app')).body.id, made.body.id)
  // The user is free for another, which the name means from then on; the id still means the old one.
  const again = await call('POST', '/tenants/acme/logins', { user: 'app' })
  assert.equal((await call('DELETE', '/tenants/acme/logins/app')).body.id, again.body.id)
  assert.equal((await call('DELETE', `/tenants/acme/logins/${made.body.id}`)).body.id, made.body.id)
  assert.equal((await call('GET', '/tenants/acme/logins')).body.logins.length, 3)
})

test('networks: in their one form, listed, removed by text or id, and never everybody', async (t) => {
  const { call } = await adminRig(t)
  await call('POST', '/tenants', { name: 'acme' })
  const made = await call('POST', '/tenants/acme/networks', { cidr: '10.1.2.3/8' })
  assert.deepEqual([made.status, made.body.cidr], [201, '10.0.0.0/8'])
  assert.deepEqual(Object.keys(made.body), ['id', 'tenant_id', 'cidr', 'created_at'])
  const six = await call('POST', '/tenants/acme/networks', { cidr: '2001:DB8::/32' })
  assert.deepEqual((await call('GET', '/tenants/acme/networks')).body, { networks: [made.body, six.body] })
  const again = await call('POST', '/tenants/acme/networks', { cidr: '10.0.0.0/8' })
  assert.deepEqual(codeOf(again), [409, 'network_taken'])
  for (const cidr of ['0.0.0.0/0', '::/0', '::ffff:0.0.0.0/96', '::ffff:0:0/96', '10.0.0.0/33', 'x', '', ' '])
    assert.deepEqual(
      codeOf(await call('POST', '/tenants/acme/networks', { cidr })),
      [422, 'invalid_value', '/cidr'],
      cidr,
    )
  assert.deepEqual(codeOf(await call('POST', '/tenants/acme/networks', { network: '10.0.0.0/8' })), [
    422,
    'invalid_value',
    '/network',
  ])
  const removed = await call('DELETE', `/tenants/acme/networks/${encodeURIComponent('10.9.9.9/8')}`)
  assert.equal(removed.body.id, made.body.id)
  assert.deepEqual(codeOf(await call('DELETE', '/tenants/acme/networks/10.0.0.0%2F8')), [404, 'network_unknown'])
  assert.equal((await call('DELETE', `/tenants/acme/networks/${six.body.id}`)).body.cidr, '2001:db8::/32')
  assert.deepEqual((await call('GET', '/tenants/acme/networks')).body, { networks: [] })
})

test('what a stream says of its defaults may be sent back', async (t) => {
  const { call } = await adminRig(t)
  await call('POST', '/tenants', { name: 'acme' })
  const defaults = { expires_in: '90m', tags: ['news', 'café'], campaign: 'spring' }
  const made = await call('POST', '/tenants/acme/streams', { name: 'news', class: 'bulk', defaults })
  assert.deepEqual([made.status, made.body.defaults], [201, defaults])
  const changed = await call('PATCH', '/tenants/acme/streams/news', { class: 'urgent' })
  assert.deepEqual([changed.body.class, changed.body.defaults], ['urgent', defaults])
  assert.deepEqual(codeOf(await call('PATCH', '/tenants/acme/streams/news', { name: 'x' })), [
    422,
    'invalid_value',
    '/name',
  ])
  const fast = { name: 'fast', class: 'fast' }
  assert.deepEqual(codeOf(await call('POST', '/tenants/acme/streams', fast)), [422, 'invalid_value', '/class'])
  const same = await call('PATCH', '/tenants/acme/streams/news', { defaults: changed.body.defaults })
  assert.deepEqual(same.body, changed.body)
  for (const [written, shown] of [
    [3_600, '1h'],
    ['24h', '1d'],
    ['61s', '61s'],
    ['1.001m', '60060ms'],
  ] as const) {
    const of = await call('PATCH', '/tenants/acme/streams/news', { defaults: { expires_in: written } })
    assert.deepEqual(of.body.defaults, { expires_in: shown })
  }
  for (const [bad, pointer] of [
    ['{"__proto__":{"a":1}}', '/defaults/__proto__'],
    ['{"track_opens":true}', '/defaults/track_opens'],
    ['{"tags":["a,b"]}', '/defaults/tags/0'],
  ] as const) {
    const refused = await call('POST', '/tenants/acme/streams', `{"name":"p","class":"bulk","defaults":${bad}}`)
    assert.deepEqual(codeOf(refused), [422, 'invalid_value', pointer])
  }
  assert.equal((await call('DELETE', '/tenants/acme/streams/news')).body.name, 'news')
  assert.deepEqual((await call('GET', '/tenants/acme/streams')).body, { streams: [] })
})

test('a foreign page changes nothing: not by Origin, not by Fetch Metadata, not by a form', async (t) => {
  const { call, directory, server } = await adminRig(t)
  const tenant = { name: 'evil' }
  for (const headers of [
    { origin: 'http://evil.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ])
    assert.deepEqual(codeOf(await call('POST', '/tenants', tenant, headers)), [403, 'foreign_origin'])
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', ''])
    assert.equal((await call('POST', '/tenants', tenant, { 'content-type': type })).status, 415, type)
  assert.deepEqual(codeOf(await call('POST', '/tenants', '{"name":')), [400, 'not_json'])
  assert.deepEqual(codeOf(await call('POST', '/tenants', tenant, { host: 'evil.example' })), [421, 'foreign_host'])
  assert.deepEqual(await directory.listTenants(), [])
  const host = `127.0.0.1:${server.address.port}`
  const own = { host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' }
  assert.equal((await call('POST', '/tenants', tenant, own)).status, 201)
})

test('every route wants the token', async (t) => {
  const { call, directory } = await adminRig(t, { token: 'a-token-of-some-length' })
  await directory.createTenant('acme')
  for (const [method, path] of [...everyRoute('acme', 'x'), ['POST', '/tenants'], ['GET', '/tenants']] as const)
    assert.deepEqual(
      codeOf(await call(method, path, bodyFor(method, path))),
      [401, 'token_required'],
      `${method} ${path}`,
    )
})

/** Each that names a tenant, and a thing of it. */
const everyRoute = (tenant: string, thing: string) =>
  (
    [
      ['GET', ''],
      ['PATCH', ''],
      ['POST', '/suspend'],
      ['POST', '/resume'],
      ['POST', '/keys'],
      ['GET', '/keys'],
      ['DELETE', `/keys/${thing}`],
      ['POST', '/logins'],
      ['GET', '/logins'],
      ['DELETE', `/logins/${thing}`],
      ['POST', '/networks'],
      ['GET', '/networks'],
      ['DELETE', `/networks/${thing}`],
      ['POST', '/domains'],
      ['GET', '/domains'],
      ['GET', `/domains/${thing}`],
      ['POST', `/domains/${thing}/verify`],
      ['POST', `/domains/${thing}/rotate-key`],
      ['DELETE', `/domains/${thing}`],
      ['POST', '/senders'],
      ['GET', '/senders'],
      ['DELETE', `/senders/${thing}`],
      ['POST', '/streams'],
      ['GET', '/streams'],
      ['PATCH', `/streams/${thing}`],
      ['DELETE', `/streams/${thing}`],
    ] as const
  ).map(([method, path]) => [method, `/tenants/${tenant}${path}`] as const)

const bodies: Readonly<Record<string, unknown>> = {
  'PATCH ': { name: 'renamed' },
  'POST /keys': { name: 'k', scopes: ['send'] },
  'POST /networks': { cidr: '198.51.100.0/24' },
  'POST /domains': { domain: 'other.example' },
  'POST /senders': { address: 'eve@example.net' },
  'POST /streams': { name: 's', class: 'bulk' },
  'PATCH /streams/': { class: 'bulk' },
}

const bodyFor = (method: string, path: string): unknown =>
  bodies[`${method} ${path.replace(/^\/tenants\/[^/]+/, '').replace(/(?<=streams\/).*/, '')}`]

test('a tenant that is not there has no routes', async (t) => {
  const { call } = await adminRig(t)
  for (const [method, path] of everyRoute('nobody', 'x'))
    assert.deepEqual(codeOf(await call(method, path, bodyFor(method, path))), [404, 'tenant_unknown'], method + path)
})

test('what belongs to one tenant is not reached through another’s path, by id or by name', async (t) => {
  const rig = await adminRig(t)
  const { call, directory } = rig
  await directory.createTenant('one')
  const { id: two } = await directory.createTenant('two')
  const key = (await directory.createKey(two, { name: 'shop', scopes: ['send'] })).key
  const login = (await directory.createLogin(two, { user: 'app' })).login
  const network = await directory.addNetwork(two, '192.0.2.0/24')
  const domain = await directory.addDomain(two, { domain: 'two.example' })
  const { sender } = await directory.addSender(two, 'ann@gmail.example')
  const stream = await directory.createStream(two, { name: 'news', mailClass: 'bulk' })
  const before = await everything(rig, 'two')
  for (const [kind, names] of [
    ['key', [key.id, key.name]],
    ['login', [login.id, login.user]],
    ['network', [network.id, network.cidr]],
    ['domain', [domain.id, domain.domain]],
    ['sender', [sender.id, sender.address]],
    ['stream', [stream.id, stream.name]],
  ] as const) {
    for (const name of names) {
      const routes = everyRoute('one', encodeURIComponent(name)).filter(([, path]) =>
        path.startsWith(`/tenants/one/${kind}s/`),
      )
      assert.ok(routes.length > 0)
      for (const [method, path] of routes)
        assert.deepEqual(
          codeOf(await call(method, path, bodyFor(method, path))),
          [404, `${kind}_unknown`],
          `${method} ${path}`,
        )
    }
    assert.deepEqual((await call('GET', `/tenants/one/${kind}s`)).body[`${kind}s`], [])
  }
  assert.deepEqual(await everything(rig, 'two'), before)
})

async function everything({ call }: AdminRig, tenant: string): Promise<unknown[]> {
  const lists = ['', '/keys', '/logins', '/networks', '/domains', '/senders', '/streams']
  return await Promise.all(lists.map(async (path) => (await call('GET', `/tenants/${tenant}${path}`)).body))
}

test('too many, busy and broken are told apart', async (t) => {
  const { call, directory, db, errors } = await adminRig(t)
  const { id } = await directory.createTenant('acme')
  await Promise.all(
    Array.from({ length: 100 }, (_, n) => directory.createStream(id, { name: `s${n}`, mailClass: 'bulk' })),
  )
  const stream = { name: 'one-more', class: 'bulk' }
  assert.deepEqual(codeOf(await call('POST', '/tenants/acme/streams', stream)), [422, 'streams_too_many'])

  const mend = directory.onChange(() => {
    throw new Error('thread 3 is gone')
  })
  assert.deepEqual(codeOf(await call('POST', '/tenants/acme/suspend')), [500, 'directory_not_heard'])
  mend()

  let hold = (): void => undefined
  const held = new Promise<void>((resolve) => (hold = resolve))
  directory.onChange(() => held)
  const waiting = Array.from({ length: 1_000 }, () => directory.resumeTenant(id))
  const busy = await call('POST', '/tenants/acme/suspend')
  assert.deepEqual([...codeOf(busy), busy.headers['retry-after']], [503, 'directory_busy', '5'])

  await db.destroy()
  assert.deepEqual(codeOf(await call('GET', '/tenants/acme')), [500, 'internal'])
  hold()
  await Promise.allSettled(waiting)
  assert.equal(errors.length, 2)
})

interface Seen {
  readonly purpose: string
  readonly name: string
  readonly value: string
  readonly state: string
  readonly note: string
  readonly found: readonly string[]
}

const states = ({ body }: Answered): string[] =>
  (body.records as Seen[]).map(({ purpose, state }) => `${purpose} ${state}`)
const recordOf = ({ body }: Answered, purpose: string): Seen =>
  (body.records as Seen[]).findLast((record) => record.purpose === purpose) as Seen

test('a domain: its records to publish, what the world sees of them, and what is proven by that', async (t) => {
  const { call, directory, txt } = await adminRig(t)
  await directory.createTenant('acme')
  const added = await call('POST', '/tenants/acme/domains', { domain: 'Example.COM', subdomains: true })
  assert.equal(added.status, 201)
  assert.deepEqual([added.body.domain, added.body.verified, added.body.subdomains], ['example.com', false, true])
  assert.deepEqual(states(added), ['ownership missing', 'dkim missing', 'spf missing', 'dmarc missing'])
  assert.deepEqual(
    (added.body.records as Seen[]).map(({ name }) => name.replace(/^ph\d{6}-\w{4}/, 'ph')),
    ['_posthaste.example.com', 'ph._domainkey.example.com', 'example.com', '_dmarc.example.com'],
  )
  assert.ok(!JSON.stringify(added.body).includes('PRIVATE'))
  const path = '/tenants/acme/domains/example.com'
  const still = await call('POST', `${path}/verify`)
  assert.deepEqual([still.status, still.body.verified], [200, false])

  const [proof, dkim] = [recordOf(added, 'ownership'), recordOf(added, 'dkim')]
  txt.set(proof.name, ['posthaste-verification=of-another', 'something else'])
  txt.set(dkim.name, ['v=DKIM1; p=AAAA'])
  txt.set('example.com', ['google-site-verification=1', 'v=spf1 include:_spf.example.net ~all'])
  txt.set('_dmarc.example.com', { kind: 'temporary', reason: 'SERVFAIL' })
  const wrong = await call('POST', `${path}/verify`, {})
  assert.deepEqual(states(wrong), ['ownership differs', 'dkim differs', 'spf differs', 'dmarc unknown'])
  assert.deepEqual(recordOf(wrong, 'ownership').found, ['posthaste-verification=of-another'])
  assert.match(recordOf(wrong, 'spf').note, /a:mail\.example\.com/)
  assert.equal(wrong.body.verified, false)

  txt.set(proof.name, ['posthaste-verification=of-another', proof.value])
  txt.set(dkim.name, [dkim.value])
  txt.set('example.com', ['v=spf1 a:mail.example.com -all'])
  txt.set('_dmarc.example.com', ['v=DMARC1; p=reject'])
  // To look changes nothing.
  const shown = await call('GET', path)
  assert.deepEqual(states(shown), ['ownership found', 'dkim found', 'spf found', 'dmarc found'])
  assert.equal(shown.body.verified, false)
  const verified = await call('POST', `${path}/verify`)
  assert.deepEqual([verified.body.verified, verified.body.dkim_keys[0].state], [true, 'signs'])
  assert.equal(directory.snapshot().preparing[0]?.domains[0]?.key?.selector, dkim.name.split('.')[0])

  // Taken out again: what was proven once stays so, and people see what is missing.
  txt.delete(proof.name)
  const later = await call('POST', `${path}/verify`)
  assert.deepEqual([later.body.verified, recordOf(later, 'ownership').state], [true, 'missing'])

  const rotated = await call('POST', `${path}/rotate-key`)
  const next = recordOf(rotated, 'dkim')
  assert.notEqual(next.name, dkim.name)
  assert.deepEqual(states(rotated).slice(1, 3), ['dkim found', 'dkim missing'])
  assert.deepEqual(codeOf(await call('POST', `${path}/rotate-key`)), [409, 'domain_key_taken'])
  txt.set(next.name, [next.value])
  const after = await call('POST', `${path}/verify`)
  assert.deepEqual(
    after.body.dkim_keys.map(({ state }: { state: string }) => state),
    ['retired', 'signs'],
  )
  assert.equal(recordOf(after, 'dkim').name, next.name)

  assert.equal((await call('GET', '/tenants/acme/domains')).body.domains.length, 1)
  assert.equal((await call('DELETE', '/tenants/acme/domains/EXAMPLE.com')).body.domain, 'example.com')
  assert.deepEqual(codeOf(await call('GET', path)), [404, 'domain_unknown'])
})

test('a domain that another tenant has verified is refused, with the reason', async (t) => {
  const { call, directory, txt } = await adminRig(t)
  const one = await directory.createTenant('one')
  const { id, record } = await directory.addDomain(one.id, { domain: 'example.com' })
  await directory.verifyDomain(one.id, id, [record.value])
  await directory.createTenant('two')
  const proof = recordOf(await call('POST', '/tenants/two/domains', { domain: 'example.com' }), 'ownership')
  txt.set(proof.name, [record.value, proof.value])
  assert.deepEqual(codeOf(await call('POST', '/tenants/two/domains/example.com/verify')), [409, 'domain_taken'])
})

test('a sender is mailed a link that the API does not show, and proven by it', async (t) => {
  const { call, directory, mailed, outbox } = await adminRig(t)
  await directory.createTenant('acme')
  const made = await call('POST', '/tenants/acme/senders', { address: 'Ann@Gmail.example' })
  assert.deepEqual([made.status, made.body.address, made.body.verified], [201, 'ann@gmail.example', false])
  const soon = await call('POST', '/tenants/acme/senders', { address: 'ann@gmail.example' })
  assert.deepEqual([...codeOf(soon), soon.headers['retry-after']], [429, 'sender_link_too_soon', '60'])
  assert.equal(mailed.length, 1)
  const [mail] = mailed
  assert.ok(mail)
  assert.deepEqual(
    [mail.tenant, mail.recipients, mail.returnPath],
    ['_posthaste', ['ann@gmail.example'], 'postmaster@mail.example.com'],
  )
  const text = mail.content.toString('latin1')
  const token = /^https:\/\/mail-api\.example\.com\/senders\/confirm\?token=(ph_link_\S+)\r$/m.exec(text)?.[1] as string
  assert.ok(!JSON.stringify(made.body).includes(token.slice(10, 30)))
  await directory.confirmSender(token)
  assert.equal((await call('GET', '/tenants/acme/senders')).body.senders[0].verified, true)
  assert.deepEqual(codeOf(await call('POST', '/tenants/acme/senders', { address: 'ann@gmail.example' })), [
    409,
    'sender_taken',
  ])
  assert.equal((await call('DELETE', '/tenants/acme/senders/Ann@gmail.example')).status, 200)

  outbox.failure = failures.spoolFull
  const refused = await call('POST', '/tenants/acme/senders', { address: 'bob@gmail.example' })
  assert.deepEqual([...codeOf(refused), refused.headers['retry-after']], [503, 'link_not_mailed', '5'])
})

test('without a public URL no sender can be mailed a link, and nothing is kept of it', async (t) => {
  const { call, directory } = await adminRig(t, { publicUrl: null })
  const { id } = await directory.createTenant('acme')
  const refused = await call('POST', '/tenants/acme/senders', { address: 'ann@gmail.example' })
  assert.deepEqual(codeOf(refused), [409, 'public_url_missing'])
  assert.deepEqual(await directory.listSenders(id), [])
})
