import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { passes, plainVerify } from '../../test/fixtures/sign/plain-verifier.ts'
import type { Verdict } from '../../test/fixtures/sign/plain-verifier.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { createSigner } from './sign.ts'

const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ed25519 = generateKeyPairSync('ed25519')
const rsaKey = { domain: 'example.com', selector: 'rsa2026', privateKeyPem: pemOf(rsa.privateKey) }
const ed25519Key = { domain: 'Example.COM', selector: 'ed2026', privateKeyPem: pemOf(ed25519.privateKey) }
const publicKeys = new Map([
  ['rsa2026', rsa.publicKey],
  ['ed2026', ed25519.publicKey],
])
const both = createSigner([ed25519Key, rsaKey])

const header =
  'Received: from here by there\r\n' +
  'From: Ann <ann@example.com>\r\n' +
  'To: ben@example.net,\r\n\tcarl@example.net\r\n' +
  'Subject:  two  words \r\n' +
  'Date: Sun, 22 Nov 2026 11:00:00 +0000\r\n' +
  'Message-ID: <1@example.com>\r\n' +
  'MIME-Version: 1.0\r\n' +
  'Content-Type: text/plain\r\n'
const body = 'Hello  Ben,\r\n\r\nat noon? \t\r\n.\r\n\r\n'
const timeSeconds = 1_700_000_000

function signed(head = header, text = body, signer = both): string {
  const signing = signer.forDomain('example.com', 'acme')
  assert.ok(signing)
  signing.body(Buffer.from(text, 'latin1'))
  const fields = signing.fields(Buffer.from(head, 'latin1'), timeSeconds)
  return `${fields}${head}\r\n${text}`
}

const tagOf = (fields: string, tag: string): string => new RegExp(`[ ;]${tag}=([^;]*);`).exec(fields)?.[1] ?? ''
const verdicts = (message: string): Verdict[] => plainVerify(message, publicKeys)
const allPass = (message: string): boolean => {
  const found = verdicts(message)
  return found.length > 0 && found.every(passes)
}
const nonePasses = (message: string): boolean => !verdicts(message).some(passes)

test('one signature per key, RSA first, both verify', () => {
  const found = verdicts(signed())
  assert.deepEqual(
    found.map((verdict) => [verdict.algorithm, verdict.selector, passes(verdict)]),
    [
      ['rsa-sha256', 'rsa2026', true],
      ['ed25519-sha256', 'ed2026', true],
    ],
  )
  for (const { tags } of found) {
    assert.equal(tags.get('c'), 'relaxed/relaxed')
    assert.equal(tags.get('d'), 'example.com')
    assert.equal(tags.get('t'), '1700000000')
    assert.equal(tags.get('x'), '1700604800')
    assert.equal(tags.has('l'), false)
    const names = (tags.get('h') as string).toLowerCase().split(':')
    for (const name of ['received', 'return-path', 'dkim-signature']) assert.equal(names.includes(name), false, name)
  }
})

test('the same message gives the same bytes', () => {
  assert.equal(signed(), signed())
  assert.equal(signed(), signed(header, body, createSigner([rsaKey, ed25519Key])))
})

test('what relays may do leaves it whole', () => {
  const message = signed()
  assert.ok(allPass(message.replace('Subject:  two  words ', 'SUBJECT: two\r\n words')))
  assert.ok(allPass(message.replace('at noon? \t', 'at noon?')))
  assert.ok(allPass(`Received: by another\r\nReturn-Path: <>\r\n${message}\r\n\r\n`))
  assert.ok(allPass(message.replace('To: ', 'Sender: list@example.org\r\nList-Id: <l.example.org>\r\nTo: ')))
})

test('a change of what it covers breaks it', () => {
  const message = signed()
  for (const [from, to] of [
    ['Ann <', 'Eve <'],
    ['two', 'too'],
    ['1700604800', '1800604800'],
    ['noon', 'four'],
    ['1.0\r\n', '1.0\r\n\r\n'],
  ] as const) {
    assert.ok(nonePasses(message.replaceAll(from, to)), from)
  }
  assert.ok(nonePasses(`${message}More.\r\n`))
})

test('a field that readers trust cannot be added, on top or below', () => {
  const message = signed()
  for (const field of [
    'Subject: another',
    'From: Eve <eve@evil.example>',
    'To: you@example.net',
    'Cc: eve@evil.example',
    'Date: Mon, 23 Nov 2026 11:00:00 +0000',
    'Message-ID: <2@evil.example>',
    'Reply-To: eve@evil.example',
    'In-Reply-To: <3@evil.example>',
    'References: <3@evil.example>',
    'MIME-Version: 1.0',
    'Content-Type: text/html',
    'Content-Transfer-Encoding: base64',
    'List-Unsubscribe: <https://evil.example/>',
    'List-Unsubscribe-Post: List-Unsubscribe=One-Click',
  ]) {
    assert.ok(nonePasses(`${field}\r\n${message}`), field)
    assert.ok(nonePasses(message.replace('\r\n\r\n', `\r\n${field}\r\n\r\n`)), field)
  }
})

test('fields that occur several times are covered each', () => {
  const head = `${header}Sender: a@example.com\r\nTo: third@example.net\r\nTo: fourth@example.net\r\nSender: b@example.com\r\n`
  const message = signed(head)
  assert.ok(allPass(message))
  for (const name of ['third', 'fourth', 'a@example.com', 'b@example.com']) {
    assert.ok(nonePasses(message.replace(name, `x${name}`)), name)
  }
})

test('any body, split anywhere, with any header, verifies; and its size was known before', () => {
  const part = fc.constantFrom(' ', '\t', '\r\n', 'word', '.', '\xe9', '\r', '\n')
  const text = fc.array(part, { maxLength: 30 }).map((parts) => `${parts.join('')}\r\n`)
  const line = fc.constantFrom(
    'To: a@b\r\n',
    'X-Own: \r\n',
    'Subject:\r\n folded\r\n',
    'sender : s@example.com\r\n',
    'Cc:\r\n',
  )
  const onlyEd25519 = createSigner([ed25519Key])
  fc.assert(
    fc.property(text, fc.array(line, { maxLength: 12 }), fc.integer({ min: 1, max: 20 }), (content, lines, size) => {
      const signing = onlyEd25519.forDomain('example.com', 'acme')
      assert.ok(signing)
      const bytes = Buffer.from(content, 'latin1')
      for (let at = 0; at < bytes.length; at += size) signing.body(bytes.subarray(at, at + size))
      const head = `From: ann@example.com\r\n${lines.join('')}`
      const known = signing.fieldsBytes(Buffer.from(head, 'latin1'), timeSeconds)
      const fields = signing.fields(Buffer.from(head, 'latin1'), timeSeconds)
      assert.equal(fields.length, known)
      assert.ok(allPass(`${fields}${head}\r\n${content}`))
    }),
  )
})

test('lines stay within 78 columns, folded between names only', () => {
  for (const line of signed().split('\r\n').slice(0, 30)) assert.ok(line.length <= 78, line)
  const fields = signed().slice(0, signed().indexOf('Received:'))
  const listed = tagOf(fields, 'h').split(/:(?:\r\n )?/)
  assert.ok(listed.every((name) => /^[A-Za-z-]+$/.test(name)))

  const long = { ...ed25519Key, domain: `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.example` }
  const signing = createSigner([long]).forDomain(long.domain, 'acme')
  assert.ok(signing)
  const known = signing.fieldsBytes(Buffer.from(header), timeSeconds)
  const text = signing.fields(Buffer.from(header), timeSeconds)
  assert.equal(text.length, known)
  assert.ok(plainVerify(`${text}${header}\r\n`, publicKeys).every(passes))
})

test('sizes are known for keys of odd lengths too', () => {
  for (const modulusLength of [2056, 2064]) {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength })
    const signing = createSigner([{ ...rsaKey, privateKeyPem: pemOf(privateKey) }]).forDomain('example.com', 'acme')
    assert.ok(signing)
    const known = signing.fieldsBytes(Buffer.from(header), timeSeconds)
    assert.equal(signing.fields(Buffer.from(header), timeSeconds).length, known)
  }
})

test('the exact domain signs before its parents, strangers not at all', () => {
  const child = { ...ed25519Key, domain: 'news.example.com', selector: 'child' }
  const signer = createSigner([rsaKey, child])
  const domainFor = (from: string): string | null => {
    const signing = signer.forDomain(from, 'acme')
    if (signing === null) return null
    return tagOf(signing.fields(Buffer.from(header), timeSeconds), 'd')
  }
  assert.equal(domainFor('example.com'), 'example.com')
  assert.equal(domainFor('news.example.com'), 'news.example.com')
  assert.equal(domainFor('a.b.news.example.com'), 'news.example.com')
  assert.equal(domainFor('shop.example.com'), 'example.com')
  for (const stranger of ['', 'com', 'example.net', 'notexample.com', 'example.com.evil.example', '__proto__']) {
    assert.equal(domainFor(stranger), null, stranger)
  }
  assert.equal(createSigner([]).forDomain('example.com', 'acme'), null)
})

test('keys that verifiers would refuse are refused at start, with the cure', () => {
  const weak = pemOf(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey)
  const curve = pemOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
  const pss = pemOf(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey)
  const publicPem = createPublicKey(rsaKey.privateKeyPem).export({ type: 'spki', format: 'pem' })
  const locked = rsa.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
  for (const [change, why, cure] of [
    [{ privateKeyPem: weak }, /RSA key of 1024 bits/, /rsa_keygen_bits:2048/],
    [{ privateKeyPem: curve }, /type ec/, /RSA key/],
    [{ privateKeyPem: pss }, /type rsa-pss/, /RSA key/],
    [{ privateKeyPem: publicPem }, /cannot be read/, /PRIVATE KEY/],
    [{ privateKeyPem: locked }, /cannot be read/, /unencrypted/],
    [{ privateKeyPem: 'nonsense' }, /cannot be read/, /PEM/],
    [{ domain: 'example.com; l=0' }, /not a host name/, /ASCII/],
    [{ domain: 'bücher.example' }, /not a host name/, /xn--/],
    [{ selector: 'a\r\nBcc: x' }, /not a DNS label/, /mail2026/],
    [{ selector: '' }, /not a DNS label/, /mail2026/],
  ] as const) {
    assert.throws(
      () => createSigner([{ ...rsaKey, ...change }]),
      (error) => {
        assert.ok(error instanceof PosthasteError)
        const config = { ...rsaKey, ...change }
        assert.ok(error.message.includes(JSON.stringify(config.domain)), error.message)
        assert.ok(error.message.includes(JSON.stringify(config.selector)), error.message)
        assert.match(error.message, why)
        assert.match(error.cure, cure)
        assert.equal(error.exitCode, 78)
        return true
      },
    )
  }
  assert.throws(
    () => createSigner([rsaKey, { ...ed25519Key, selector: 'rsa2026' }]),
    /rsa2026 of example.com is configured twice/,
  )
  assert.ok(createSigner([{ ...rsaKey, privateKeyPem: rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }) }]))
})
