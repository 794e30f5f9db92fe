/** tenant, key, login, network, domain, sender, stream: what people type, and what they read. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { type AdminRig, adminRig } from '../../../test/support/admin-rig.ts'
import { runCli } from './cli.ts'

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

interface World extends AdminRig {
  readonly run: (...args: readonly string[]) => Promise<Ran>
}

async function world(t: TestContext, options: Parameters<typeof adminRig>[1] = {}): Promise<World> {
  const rig = await adminRig(t, options)
  const run = async (...args: readonly string[]): Promise<Ran> => {
    const written = { out: '', err: '' }
    const stream = (name: 'out' | 'err') => ({
      write: (chunk: string | Uint8Array) => void (written[name] += Buffer.from(chunk as string).toString()),
    })
    const code = await runCli([...args, '--management-port', String(rig.server.address.port)], {
      version: '9.9.9',
      env: { POSTHASTE_CONFIG: '' },
      cwd: rig.folder,
      stdout: stream('out'),
      stderr: stream('err'),
      loadApp: () => Promise.reject(new Error('not started here')),
      loadLimits: () => Promise.reject(new Error('not asked for here')),
    })
    return { code, ...written }
  }
  return { ...rig, run }
}

test('tenant: add, list, show, rename, suspend, resume', async (t) => {
  const { run, clock } = await world(t)
  assert.match((await run('tenant', 'list')).out, /^There is no tenant yet\./)
  const added = await run('tenant', 'add', 'acme')
  assert.equal(added.code, 0)
  assert.match(added.out, /^Tenant acme, active, id [0-9a-f-]{36}, since .*\nNext: posthaste key add acme main\n$/)
  clock.advance(1)
  await run('tenant', 'add', 'beta')
  const list = await run('tenant', 'list', '--limit', '1')
  assert.match(list.out, /^NAME +ID +CREATED +STATE\nacme .* active\nThere is more: --after [0-9a-f-]{36}\n$/)
  assert.match((await run('tenant', 'suspend', 'acme')).out, /^Tenant acme, suspended/)
  assert.match((await run('tenant', 'resume', 'acme')).out, /^Tenant acme, active/)
  assert.match((await run('tenant', 'rename', 'acme', 'acme-2')).out, /^Tenant acme-2/)
  assert.equal(JSON.parse((await run('tenant', 'show', 'acme-2', '--json')).out).name, 'acme-2')
  const unknown = await run('tenant', 'show', 'acme')
  assert.deepEqual([unknown.code, unknown.err.split('\n')[0]], [1, 'posthaste: there is no tenant "acme"'])
  const taken = await run('tenant', 'add', 'beta', '--json')
  assert.deepEqual([taken.code, JSON.parse(taken.err).code], [65, 'tenant_name_taken'])
  assert.equal((await run('tenant', 'add', 'Not A Name')).code, 65)
  assert.equal((await run('tenant', 'add')).code, 64)
  for (const odd of ['..', '../status', '?', ''])
    assert.deepEqual([odd, (await run('tenant', 'suspend', odd)).code], [odd, 1])
})

test('key and login: the secret is shown once, with the sentence that says so', async (t) => {
  const { run, directory } = await world(t)
  const { id } = await directory.createTenant('acme')
  assert.match((await run('key', 'list', 'acme')).out, /^There is no key yet/)
  const added = await run(
    'key',
    'add',
    'acme',
    'the shop',
    '--scope',
    'send',
    '--network',
    '10.0.0.0/8',
    '--network',
    '::1',
  )
  assert.match(
    added.out,
    /^ph_live_\S+\nIt is shown now and never again: [^]*Key "the shop" may send from 10\.0\.0\.0\/8, ::1\/128; id /,
  )
  const [key] = await directory.listKeys(id)
  assert.deepEqual(key?.networks, ['10.0.0.0/8', '::1/128'])
  assert.deepEqual(JSON.parse((await run('key', 'add', 'acme', 'b', '--json')).out).scopes, ['send', 'read'])
  const list = (await run('key', 'list', 'acme')).out
  assert.match(list, /^ID +NAME +ENDS IN +MAY +FROM +CREATED +STATE\n/)
  assert.ok(!list.includes('ph_live_'))
  assert.match((await run('key', 'revoke', 'acme', key?.id ?? '')).out, /^Key "the shop" is revoked since /)
  assert.match((await run('key', 'list', 'acme')).out, /revoked/)
  assert.equal((await run('key', 'revoke', 'acme', 'nothing')).code, 1)
  assert.equal((await run('key', 'add', 'acme', 'c', '--expires', 'soon')).code, 65)

  const login = await run('login', 'add', 'acme', 'app')
  assert.match(login.out, /^user +app\npassword +ph_smtp_\S+\nThe password is shown now and never again: /)
  assert.match((await run('login', 'list', 'acme')).out, /^USER[^\n]*\napp [^\n]*anywhere[^\n]*in use\n$/)
  assert.match((await run('login', 'revoke', 'acme', 'app')).out, /^Login app is revoked since /)
})

test('network: added in its one form, listed, removed as it was typed', async (t) => {
  const { run, directory } = await world(t)
  await directory.createTenant('acme')
  assert.match((await run('network', 'list', 'acme')).out, /^There is no network yet/)
  const added = await run('network', 'add', 'acme', '192.0.2.77/24')
  assert.match(added.out, /^From 192\.0\.2\.0\/24 acme sends as what it has proven, without a password; id /)
  assert.match((await run('network', 'list', 'acme')).out, /^NETWORK +ID +CREATED\n192\.0\.2\.0\/24 /)
  const everybody = await run('network', 'add', 'acme', '0.0.0.0/0')
  assert.deepEqual([everybody.code, everybody.err.split('\n')[0]], [65, 'posthaste: /cidr: "0.0.0.0/0" is everybody'])
  assert.equal((await run('network', 'remove', 'acme', '192.0.3.0/24')).code, 1)
  assert.match((await run('network', 'remove', 'acme', '192.0.2.77/24')).out, /^Network 192\.0\.2\.0\/24 is removed/)
  assert.match((await run('network', 'list', 'acme')).out, /^There is no network yet/)
})

test('stream: class and defaults, changed and removed', async (t) => {
  const { run, directory } = await world(t)
  await directory.createTenant('acme')
  const added = await run('stream', 'add', 'acme', 'news', '--class', 'bulk', '--defaults', '{"tags": ["a"]}')
  assert.match(added.out, /^Stream news: bulk, defaults \{"tags":\["a"\]\}; id /)
  assert.match((await run('stream', 'change', 'acme', 'news', '--class', 'urgent')).out, /^Stream news: urgent/)
  assert.match((await run('stream', 'list', 'acme')).out, /news +urgent .*\{"tags":\["a"\]\}\n$/)
  assert.equal((await run('stream', 'add', 'acme', 'x', '--defaults', 'x')).code, 64)
  assert.match((await run('stream', 'remove', 'acme', 'news')).out, /^Stream news is removed/)
  assert.match((await run('stream', 'list', 'acme')).out, /^There is no stream yet/)
})

test('sender: a link is mailed, and the list says whether it was used', async (t) => {
  const { run, directory, mailed } = await world(t)
  await directory.createTenant('acme')
  const added = await run('sender', 'add', 'acme', 'ann@gmail.example')
  assert.match(added.out, /^A link is on its way to ann@gmail\.example\. It works once, until /)
  assert.equal(mailed.length, 1)
  assert.match((await run('sender', 'list', 'acme')).out, /ann@gmail\.example .*no; its link works until/)
  assert.match((await run('sender', 'remove', 'acme', 'ann@gmail.example')).out, /is removed/)
})

test('domain: records to publish, exit code 1 until it is verified, and a key that is exchanged', async (t) => {
  const { run, directory, txt } = await world(t)
  const { id } = await directory.createTenant('acme')
  assert.match((await run('domain', 'list', 'acme')).out, /^There is no domain yet/)
  const added = await run('domain', 'add', 'acme', 'example.com', '--subdomains')
  assert.equal(added.code, 0)
  assert.match(
    added.out,
    new RegExp(
      [
        '^example\\.com with subdomains: NOT VERIFIED\n\nProof that the domain is yours: missing',
        '  name   _posthaste\\.example\\.com\n  type   TXT\n  value  posthaste-verification=[0-9a-f]{40}\n',
        'DKIM: mail is signed once this is there: missing\n  name   ph\\d{6}-\\w{4}\\._domainkey\\.example\\.com',
        'SPF: who may send \\(a suggestion\\): missing\n  name   example\\.com\n  type   TXT\n  value  v=spf1 a:mail\\.example\\.com ~all',
        'DMARC: [^\n]*\n  name   _dmarc\\.example\\.com\n  type   TXT\n  value  v=DMARC1; p=none\n',
        'When they are published: posthaste domain verify acme example\\.com\n$',
      ].join('[^]*'),
    ),
  )
  const [domain] = await directory.listDomains(id)
  assert.ok(domain)
  txt.set(domain.record.name, ['posthaste-verification=\u001b[31mother'])
  const differs = await run('domain', 'verify', 'acme', 'example.com')
  assert.equal(differs.code, 1)
  assert.match(
    differs.out,
    /differs; this is the proof of another tenant\n[^]*  there  posthaste-verification=\\u001b\[31mother\n/,
  )
  assert.equal((await run('domain', 'verify', 'acme', 'example.com', '--json')).code, 1)

  txt.set(domain.record.name, [domain.record.value])
  const [key] = domain.keys
  txt.set(key?.record.name ?? '', [key?.record.value ?? ''])
  const verified = await run('domain', 'verify', 'acme', 'example.com')
  assert.equal(verified.code, 0)
  assert.match(verified.out, /^example\.com with subdomains: verified since /)
  assert.ok(!verified.out.includes('When they are published'))
  assert.match((await run('domain', 'list', 'acme')).out, new RegExp(`example\\.com .* ${key?.selector}\\n$`))

  await run('domain', 'rotate-key', 'acme', 'example.com')
  const next = (await directory.listDomains(id))[0]?.keys.at(-1)
  txt.set(next?.record.name ?? '', [next?.record.value ?? ''])
  const exchanged = await run('domain', 'verify', 'acme', 'example.com')
  assert.match(exchanged.out, new RegExp(`The record of the key ${key?.selector} may leave the DNS a week after `))
  assert.equal(JSON.parse((await run('domain', 'show', 'acme', 'example.com', '--json')).out).dkim_keys.length, 2)
  assert.match((await run('domain', 'remove', 'acme', 'example.com')).out, /^Domain example\.com is removed/)
  assert.equal((await run('domain', 'show', 'acme', 'example.com')).code, 1)
})

test('sandbox credentials: shown again whenever they are asked for, with lines to paste', async (t) => {
  const credentials = {
    tenant: 'demo',
    key: 'ph_live_k',
    user: 'demo',
    password: 'ph_smtp_p',
    smtp: { address: '127.0.0.1', port: 2525 },
    http: { address: '::1', port: 8081 },
  }
  const { run } = await world(t, { sandboxCredentials: async () => credentials })
  const { code, out } = await run('sandbox', 'credentials')
  assert.equal(code, 0)
  assert.match(out, /^tenant {4}demo\nAPI key {3}ph_live_k\nuser {6}demo\npassword {2}ph_smtp_p\n/)
  const curl =
    /^ {2}curl -sS http:\/\/\[::1\]:8081\/api\/v1\/emails -H 'Authorization: Bearer ph_live_k' .* -d '(.*)'$/m.exec(out)
  assert.deepEqual(JSON.parse(curl?.[1] ?? '').to, ['you@example.net'])
  assert.match(out, /swaks --server 127\.0\.0\.1:2525 --auth PLAIN --auth-user demo --auth-password ph_smtp_p /)
  assert.match(
    out,
    /createTransport\(\{ host: '127\.0\.0\.1', port: 2525, auth: \{ user: 'demo', pass: 'ph_smtp_p' \} \}\)/,
  )
  assert.deepEqual(JSON.parse((await run('sandbox', 'credentials', '--json')).out), credentials)
})

test('outside the sandbox there are no credentials to be shown', async (t) => {
  const { run } = await world(t)
  assert.equal((await run('sandbox', 'credentials')).code, 1)
})
