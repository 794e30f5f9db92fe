import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import * as fc from 'fast-check'
import { Check } from 'typebox/value'
import { parse } from 'yaml'
import { VirtualClock } from '../kernel/clock.ts'
import {
  adminTokenPath,
  ConfigError,
  configurationReference,
  ensureAdminToken,
  jsonSchema,
  loadConfig,
  locateEngine,
  needsAdminToken,
  readAdminToken,
  sandboxConfig,
  type Environment,
  type LoadedConfig,
  type Problem,
} from './config.ts'

const fixtures = new URL('../../test/fixtures/config/', import.meta.url)
const directory = mkdtempSync(join(tmpdir(), 'posthaste-config-'))
after(() => rmSync(directory, { recursive: true }))
const clock = new VirtualClock(Date.UTC(2027, 0, 1))

function put(name: string, text: string, mode = 0o600): string {
  const path = join(directory, name)
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

for (const name of ['mail.crt', 'mail-expired.crt', 'mail.key', 'other.key']) {
  copyFileSync(new URL(name, fixtures), join(directory, name))
  chmodSync(join(directory, name), name.endsWith('key') ? 0o600 : 0o644)
}

const load = (text: string, env: Environment = {}): LoadedConfig =>
  loadConfig(put('posthaste.yaml', text), env, { clock })

function problemsOf(text: string, env: Environment = {}): readonly Problem[] {
  try {
    load(text, env)
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    assert.equal(error.exitCode, 78)
    return error.problems
  }
  throw new Error('the file was accepted')
}

/** "line:column key: what | cure" */
function told(text: string, env: Environment = {}): string[] {
  return problemsOf(text, env).map((p) => `${p.place?.line}:${p.place?.column} ${p.key}: ${p.what} | ${p.cure}`)
}

const head = 'hostname: mail.example.com\ntenants:\n  - name: app\n    networks: [10.0.0.0/8]\n'

test('row 90: an unknown key is refused with file, line, column and the nearest known key', () => {
  const file = join(directory, 'posthaste.yaml')
  assert.throws(
    () => load(`${head}smtp:\n  mesage_size_max: 5MiB\n`),
    (error: ConfigError) => {
      assert.ok(error.message.includes(`${file}:6:3: smtp.mesage_size_max: is not a known option`), error.message)
      assert.ok(error.message.includes('Did you mean message_size_max?'))
      return true
    },
  )
  assert.deepEqual(told(`${head}message-size-max: 5MiB\n`), [
    '5:1 message-size-max: is not a known option | Known here: hostname, data_directory, sandbox, smtp, http, store, accounting, tls, tenants, dkim, routes, delivery, retry, notices, dns, spool, threads, management, log.',
  ])
  assert.deepEqual(told(`${head}message_size_max: 5MiB\n`), [
    '5:1 message_size_max: is not a known option | It belongs below smtp.',
  ])
})

test('row 91: a wrong unit is refused and the units that are taken are named', () => {
  const sizes =
    'Write a number with one of the units B, KB, MB, GB, TB (thousands) or KiB, MiB, GiB, TiB (1024s): for example 50MiB.'
  const durations = 'Write a number with one of the units ms, s, m, h, d: for example 30s.'
  assert.deepEqual(
    told(
      `${head}smtp:\n  message_size_max: 50\n  idle_timeout: 30sec\n  content_rate_min: 5s\nretry:\n  delays: [1m, 5]\n`,
    ),
    [
      `6:21 smtp.message_size_max: 50 has no unit | ${sizes}`,
      `7:17 smtp.idle_timeout: "30sec" is not a duration | ${durations}`,
      `8:21 smtp.content_rate_min: "5s" is not a size | ${sizes}`,
      `10:16 retry.delays[1]: 5 has no unit | ${durations}`,
    ],
  )
})

test('row 92: a key that does not belong to the certificate is refused, an expired certificate only warned of', () => {
  const tls = (certificate: string, key: string): string =>
    `${head}tls:\n  certificate_file: ${certificate}\n  private_key_file: ${key}\n`
  const [mismatch] = problemsOf(tls('mail.crt', 'other.key'))
  assert.equal(mismatch?.key, 'tls.private_key_file')
  assert.match(mismatch.what, /does not belong to the certificate \(DNS:mail\.example\.com\)/)

  const good = load(tls('mail.crt', 'mail.key'))
  assert.deepEqual(good.warnings, [])
  assert.deepEqual(good.config.smtp.listeners, [{ address: '0.0.0.0', port: 25, tls: 'offered' }])

  const expired = load(tls('mail-expired.crt', 'mail.key'))
  assert.equal(expired.warnings.length, 1)
  assert.match(
    expired.warnings[0] as string,
    /posthaste\.yaml:6:\d+: tls\.certificate_file: the certificate expired on 2021-01-01/,
  )
  assert.notEqual(expired.config.tls, null)

  assert.match(
    load(tls('mail.crt', 'mail.key').replace('mail.example', 'mx.example')).warnings[0] as string,
    /not for mx\.example\.com/,
  )
  assert.match(problemsOf(tls('mail.key', 'mail.key'))[0]?.what as string, /holds no certificate/)
  assert.match(problemsOf(tls('mail.crt', 'mail.crt'))[0]?.what as string, /everyone on this machine may read/)
  assert.match(problemsOf(tls('nope.crt', 'mail.key'))[0]?.what as string, /there is no such file/)
  assert.match(problemsOf(`${head}tls:\n  certificate_file: mail.crt\n`)[0]?.key as string, /private_key_file/)
})

test('row 94: two listeners of one address and port are refused before anything listens', () => {
  assert.deepEqual(told(`${head}smtp:\n  listeners:\n    - {address: 127.0.0.1, port: 8080}\n`), [
    '7:7 smtp.listeners[0]: 127.0.0.1:8080 is used by management too | Give it a port or address of its own.',
  ])
  assert.equal(load(`${head}smtp:\n  listeners: [{port: 0}, {port: 0}]\n`).config.smtp.listeners.length, 2)
})

test('row 95: a secret that everyone may read is refused', () => {
  put('open-password', 'correct horse battery staple\n', 0o644)
  put('writable-password', 'correct horse battery staple\n', 0o602)
  put('group-password', 'correct horse battery staple\n', 0o640)
  const login = (file: string): string => `${head}    logins:\n      - user: app\n        password_file: ${file}\n`
  for (const file of ['open-password', 'writable-password']) {
    const [problem] = problemsOf(login(file))
    assert.equal(problem?.key, 'tenants[0].logins[0].password_file')
    assert.match(problem.what, /is a secret that everyone on this machine may read or change \(mode 06\d\d\)/)
    assert.match(problem.cure, /chmod 0640/)
  }
  const { config } = load(login('group-password'))
  // printf 'correct horse battery staple' | sha256sum
  assert.equal(
    config.tenants[0]?.logins[0]?.passwordSha256,
    'c4bbcb1fbec99d65bf59d85c8cb62ee2db963f0fe106f483d9afa73bd4e39a8a',
  )
  assert.match(problemsOf(login('.'))[0]?.what as string, /is not a file/)
  put('empty', '\n')
  assert.match(problemsOf(login('empty'))[0]?.what as string, /is empty/)
})

test('row 96: a missing environment variable is refused by name; a set one is used once', () => {
  const text = `${head}management:\n  token: \${env:PH_TOKEN}\n  port: \${env:PH_PORT}\n`
  assert.deepEqual(
    problemsOf(text).map(({ what }) => what),
    ['the environment variable PH_TOKEN is not set', 'the environment variable PH_PORT is not set'],
  )
  const { config, effective } = load(text, { PH_TOKEN: '${env:HOME}', PH_PORT: '9000' })
  assert.deepEqual(config.management, { address: '127.0.0.1', port: 9000, token: '${env:HOME}' })
  assert.deepEqual(effective.find(({ key }) => key === 'management.token')?.value, '***')
  assert.match(
    told(`${head}data_directory: \${HOME}/x\n`)[0] as string,
    /"\$\{HOME\}" is not understood \| Write \$\{env:NAME\}/,
  )
  assert.match(
    told(text, { PH_TOKEN: '', PH_PORT: 'x' }).join('\n'),
    /the secret is empty[^]*"x" is not a whole number/,
  )
})

test('a secret in the file itself is refused and not repeated', () => {
  const [problem] = problemsOf(`${head}management:\n  token: hunter2hunter2\n`)
  assert.equal(problem?.what, 'a secret is written into the file')
  assert.ok(!problem.cure.includes('hunter2'))
})

test('all mistakes are told at once, in the order of the file', () => {
  const lines = told(
    'hostname: mail\nsmtp:\n  listeners: []\n  recipients_max: 5\ntenants:\n  - networks: [10.0.0.0/33, 0.0.0.0/0]\n  - name: b\n    logins: {}\ndkim:\n  - domain: example.com\n    selector: s\nlog: {level: verbose}\ntls: yes\ndns:\n  servers:\n',
  )
  assert.deepEqual(
    lines.map((line) => line.split(' | ')[0]),
    [
      '1:11 hostname: "mail" has no domain',
      '3:14 smtp.listeners: is empty',
      '4:19 smtp.recipients_max: 5 is too small',
      '6:5 tenants[0].name: is missing',
      '6:16 tenants[0].networks[0]: "10.0.0.0/33" is not a network',
      '6:29 tenants[0].networks[1]: "0.0.0.0/0" is everybody: an open relay',
      '8:13 tenants[1].logins: a section stands where a list belongs',
      '10:5 dkim[0].private_key_file: is missing',
      '12:14 log.level: "verbose" is not one of the choices',
      '13:6 tls: "yes" stands where a section belongs',
      '15:3 dns.servers: has no value',
    ],
  )
})

test('what is not YAML is told with its place', () => {
  assert.match(told('hostname: "x\n')[0] as string, /^\d+:\d+ : is not valid YAML: /)
  assert.match(told('smtp:\n\tport: 1\n')[0] as string, /never with tabs/)
  assert.match(told('hostname: a.example\nhostname: b.example\n')[0] as string, /^2:1 .*unique.*\| Keep one/)
  assert.match(told('['.repeat(200_000))[0] as string, /is nested too deeply|not valid YAML/)
  assert.throws(
    () => loadConfig(join(directory, 'absent.yaml'), {}),
    /absent\.yaml: cannot be read: there is no such file/,
  )
  writeFileSync(join(directory, 'latin1.yaml'), Buffer.from([0x68, 0xe9]))
  assert.throws(() => loadConfig(join(directory, 'latin1.yaml'), {}), /is not UTF-8 text/)
})

test('whatever is in the file, loading ends with a configuration or a list of problems', () => {
  const word = fc.constantFrom(
    'smtp',
    'tls',
    'tenants',
    'name',
    'networks',
    'hostname',
    'port',
    '30s',
    '${env:X}',
    '<<',
    '*a',
    '&a',
    'null',
    '1',
  )
  const node = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      word,
      fc.array(tie('node'), { maxLength: 3 }),
      fc.dictionary(word, tie('node'), { maxKeys: 3 }),
    ),
  })).node
  const text = fc.oneof(
    node.map((value) => JSON.stringify(value)),
    fc.array(word).map((words) => words.join(': ')),
    fc.string(),
  )
  fc.assert(
    fc.property(text, (yaml) => {
      try {
        load(yaml)
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error))
        assert.ok(error.problems.length > 0)
      }
    }),
    { numRuns: 300 },
  )
})

test('aliases are followed, and one that points to itself ends', () => {
  const { config } = load(
    `hostname: mail.example.com\ntenants:\n  - {name: a, networks: &n [10.1.0.0/16]}\nretry:\n  delays: &d [1m]\n`,
  )
  assert.deepEqual(config.tenants[0]?.networks, ['10.1.0.0/16'])
  assert.match(told(`${head}routes: &r [*r]\n`)[0] as string, /routes\[0\]/)
})

test('production defaults are the documented ones', () => {
  const { config, warnings } = load(head)
  assert.deepEqual(config.retry, {
    delaysMs: [60_000, 300_000, 900_000, 3_600_000],
    jitter: 0.15,
    expireAfterMs: 72 * 3_600_000,
  })
  assert.deepEqual(config.spool, {
    segmentBytes: 2 ** 26,
    windowBytes: 2 ** 25,
    reserveBytes: 2 ** 30,
    commitDelayMs: 2,
    commitBytesMax: 2 ** 20,
    tenantShare: 0.25,
    checkpointAfterBytes: 2 ** 26,
  })
  const { messageBytesMax, recipientsMax, connectionsMax, listeners } = config.smtp
  assert.deepEqual([messageBytesMax, recipientsMax, connectionsMax], [50 * 2 ** 20, 1_000, 10_000])
  assert.deepEqual(listeners, [{ address: '0.0.0.0', port: 25, tls: 'none' }])
  assert.equal(config.delivery.connectionsPerSite, 20)
  assert.equal(config.delivery.ehloName, 'mail.example.com')
  assert.equal(needsAdminToken(config), true)
  assert.match(warnings.join('\n'), /STARTTLS is not offered/)
})

test('the built-in sandbox needs no file, and a file can ask for a sandbox', () => {
  const { config, warnings, effective } = sandboxConfig('data', { smtpPort: 0, managementPort: 0 })
  assert.deepEqual(warnings, [])
  assert.equal(config.file, null)
  assert.equal(config.sandbox, true)
  assert.deepEqual(config.smtp.listeners, [{ address: '127.0.0.1', port: 0, tls: 'none' }])
  assert.deepEqual(config.management, { address: '127.0.0.1', port: 0, token: null })
  assert.deepEqual(config.tenants, [{ name: 'sandbox', networks: ['127.0.0.0/8', '::1/128'], logins: [] }])
  assert.deepEqual(config.retry.delaysMs, [5_000, 15_000, 60_000, 300_000])
  assert.equal(config.spool.segmentBytes, 2 ** 24, 'a first start does not write 64 MiB of zeros')
  assert.equal(needsAdminToken(config), false)
  assert.equal(effective.find(({ key }) => key === 'management.port')?.origin, 'flag')
  assert.deepEqual(load('sandbox: true\n').config.smtp.listeners, [{ address: '127.0.0.1', port: 2525, tls: 'none' }])
  assert.match(
    told('sandbox: ${env:S}\nhostname: a.example\n', { S: 'true' })[0] as string,
    /cannot come from the environment/,
  )
})

test('a configuration is frozen to its last leaf and can be sent to a thread', () => {
  const { config } = load(head)
  const [tenant] = config.tenants
  assert.ok(tenant)
  assert.deepEqual(structuredClone(config), config)
  assert.throws(() => (tenant.networks as string[]).push('x'), TypeError)
  assert.throws(() => Object.assign(config.smtp, { connectionsMax: 1 }), TypeError)
})

test('DKIM keys are RSA of 2048 bits or Ed25519, and nothing else', () => {
  const pem = (key: { export(o: { type: 'pkcs8'; format: 'pem' }): string | Buffer }): string =>
    String(key.export({ type: 'pkcs8', format: 'pem' }))
  put('ed25519.pem', pem(generateKeyPairSync('ed25519').privateKey))
  put('rsa1024.pem', pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey))
  put('rsa2048.pem', pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey))
  put('passphrase.pem', '-----BEGIN ENCRYPTED PRIVATE KEY-----\n')
  const keys = (...files: string[]): string =>
    `${head}dkim:\n${files.map((file, i) => `  - {domain: Example.com, selector: s${i}, private_key_file: ${file}}\n`).join('')}`
  const { config } = load(keys('ed25519.pem', 'rsa2048.pem'))
  assert.deepEqual(
    config.dkim.map(({ domain, selector }) => `${selector}.${domain}`),
    ['s0.example.com', 's1.example.com'],
  )
  const whats = problemsOf(keys('rsa1024.pem', 'mail.key', 'passphrase.pem', 'mail.crt')).map(({ what }) => what)
  assert.match(whats[0] as string, /RSA key of 1024 bits/)
  assert.match(whats[1] as string, /type ec/)
  assert.match(whats[2] as string, /passphrase/)
  assert.match(whats[3] as string, /everyone/)
})

test('names, networks and logins belong to one tenant', () => {
  const twice = `${head}  - name: app\n    networks: [10.0.0.0/8, 192.0.2.1]\n`
  assert.deepEqual(
    problemsOf(twice).map(({ key, what }) => `${key} ${what}`),
    [
      'tenants[1].name name app is used by tenants[0].name too',
      'tenants[1].networks[0] network 10.0.0.0/8 is used by tenants[0].networks[0] too',
    ],
  )
})

test('notices come from the postmaster of this host, or from an address that can be written in a header', () => {
  assert.equal(load('hostname: Mail.example.com\n').config.notices.from, 'postmaster@mail.example.com')
  assert.equal(load(`${head}notices: {from: Help.Desk@example.com}\n`).config.notices.from, 'Help.Desk@example.com')
  for (const from of [
    'help',
    'Help <help@example.com>',
    'a b@example.com',
    'jörg@example.com',
    'a@[192.0.2.1]',
    '@a:b@c.example',
  ])
    assert.deepEqual(told(`${head}notices: {from: "${from}"}\n`), [
      `5:17 notices.from: "${from}" is not a mail address | Write local@domain, such as postmaster@example.com.`,
    ])
})

test('limit accounting.behind_max: is handed on in bytes; accounting goes below the data directory unless told otherwise', () => {
  const { accounting } = load(`${head}data_directory: /data\n`).config
  assert.equal(accounting.directory, '/data/accounting')
  assert.deepEqual([accounting.behindBytesMax, accounting.rotateMs], [4 * 1024 ** 3, 86_400_000])
  for (const [written, bytes] of [
    ['67108863B', null],
    ['64MiB', 67_108_864],
    ['67108865B', 67_108_865],
  ] as const) {
    const text = `${head}accounting: {directory: /elsewhere, behind_max: ${written}}\n`
    if (bytes === null) assert.match(told(text)[0] as string, /accounting\.behind_max: /)
    else assert.equal(load(text).config.accounting.behindBytesMax, bytes)
  }
  assert.equal(locateEngine(null, {}, { dataDirectory: '/d' }).accountingDirectory, '/d/accounting')
  assert.match(told(`${head}accounting: {size_max: 1MiB}\n`)[0] as string, /size_max: is less than rotate_size/)
})

test('the engine is found even when another part of the file is broken', () => {
  const path = put('broken.yaml', 'hostname: 5\nmanagement:\n  port: 9001\n  token_file: token\nsmtp: no\n')
  put('token', 'abc\n')
  const found = locateEngine(path, {})
  assert.deepEqual([found.address, found.port, found.token, found.sandbox], ['127.0.0.1', 9001, 'abc', false])
  assert.throws(() => locateEngine(put('worse.yaml', 'management: {port: x}\n'), {}), /management\.port/)
})

test('the admin token is made once, for its owner only', () => {
  const data = join(directory, 'data', 'deep')
  assert.throws(() => readAdminToken(data), /no such file/)
  const token = ensureAdminToken(data)
  assert.match(token, /^[\w-]{32}$/)
  assert.equal(ensureAdminToken(data), token)
  assert.equal(readAdminToken(data), token)
  assert.equal(statSync(adminTokenPath(data)).mode & 0o777, 0o600)
  chmodSync(adminTokenPath(data), 0o644)
  assert.throws(() => ensureAdminToken(data), /everyone/)
})

test('the reference shows a default as it stands in a file', () => {
  assert.match(configurationReference(), /sandbox: `http:\/\/127\.0\.0\.1:8081`/)
})

test('docs/configuration.md is what `config reference` prints', () => {
  const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')
  assert.equal(page, configurationReference(), 'run: node src/main.ts config reference > docs/configuration.md')
})

test('deploy/posthaste.yaml is accepted, by the editor’s schema too', () => {
  const text = readFileSync(new URL('../../deploy/posthaste.yaml', import.meta.url), 'utf8')
  const etc = join(directory, 'etc')
  mkdirSync(join(etc, 'secrets'), { recursive: true })
  for (const [from, to] of [
    ['mail.crt', 'certificate.pem'],
    ['mail.key', 'secrets/certificate.key'],
  ] as const) {
    copyFileSync(new URL(from, fixtures), join(etc, to))
    chmodSync(join(etc, to), 0o600)
  }
  put('etc/secrets/app.password', 'correct horse battery staple\n')
  const dkimKey = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })
  put('etc/secrets/dkim-example.com.pem', dkimKey)
  const { config, warnings } = load(text.replaceAll('/etc/posthaste', etc))
  assert.deepEqual(warnings, [])
  assert.deepEqual(
    config.smtp.listeners.map(({ port, tls }) => `${port} ${tls}`),
    ['25 offered', '587 offered', '465 implicit'],
  )
  assert.equal(Check(jsonSchema(), parse(text)), true)
  assert.equal(Check(jsonSchema(), { smtp: { idle_timeout: '5 minutes' } }), false)
})
