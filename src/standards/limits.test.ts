/** Bounds of addresses and names at their edge: one below, at it, one above. Those of replies are in smtp-reply.test.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dnsName } from '../adapters/dns/name.ts'
import { formats } from '../config/formats.ts'
import { checkDkimKey } from '../config/keys.ts'
import { createSigner } from '../sign/sign.ts'
import { domainName, parsePath } from './address.ts'
import { fromAddresses, surveyHeader } from './header.ts'
import * as limits from './limits.ts'
import { parseMail, parseRcpt } from './smtp-command.ts'

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]
const isRead = (path: string): boolean => parsePath(path, 0).problem === null

/** A domain of exactly so many octets, in labels of at most 60. */
const domainOf = (bytes: number): string => `${'d'.repeat(60)}.`.repeat(Math.ceil(bytes / 61)).slice(0, bytes - 1) + 'e'

test('limit address.local-part: 64 octets pass, 65 do not, in ASCII and in UTF-8', () => {
  const max = limits.localPartBytesMax.value
  for (const bytes of around(max)) {
    assert.equal(isRead(`<${'l'.repeat(bytes)}@x>`), bytes <= max)
    assert.equal(isRead(`<${'ü'.repeat(Math.floor(bytes / 2))}${'l'.repeat(bytes % 2)}@x>`), bytes <= max)
  }
})

test('limit address.domain: 255 octets are a domain, 256 are not', () => {
  for (const bytes of around(limits.domainBytesMax.value)) {
    const passes = bytes <= limits.domainBytesMax.value
    assert.equal(domainName(domainOf(bytes)) !== '', passes)
    // Such a path is too long as well; the reply names what is worse.
    const { problem } = parsePath(`<a@${domainOf(bytes)}>`, 0)
    assert.equal(problem, passes ? 'the path is longer than 256 octets' : 'the domain is longer than 255 octets')
  }
})

test('limit address.path: 256 octets with both brackets pass, 257 do not', () => {
  for (const bytes of around(limits.pathBytesMax.value)) {
    const path = `<a@${domainOf(bytes - 4)}>`
    assert.equal(path.length, bytes)
    assert.equal(isRead(path), bytes <= limits.pathBytesMax.value)
  }
})

test('limit address.label: 63 octets pass, 64 do not', () => {
  for (const bytes of around(limits.labelBytesMax.value))
    assert.equal(isRead(`<a@${'d'.repeat(bytes)}.example>`), bytes <= limits.labelBytesMax.value)
})

test('limit domain.name: 253 characters are a name in a From field, in DNS and in the configuration, 254 are not', () => {
  for (const characters of around(limits.nameCharactersMax.value)) {
    const domain = domainOf(characters)
    const found = surveyHeader(Buffer.from(`From: a@${domain}\r\n\r\n`)).fromDomain
    const passes = characters <= limits.nameCharactersMax.value
    assert.equal(found, passes ? domain : '')
    assert.equal(dnsName(domain), passes ? domain : null)
    assert.equal(formats.domain(domain).ok, passes)
  }
})

test('limit header.from-mailboxes: of 50 each is judged, 51 are nobody’s', () => {
  for (const count of around(limits.fromMailboxesMax.value)) {
    const mailboxes = Array.from({ length: count }, (_, i) => `a${i}@example.com`)
    const read = fromAddresses(Buffer.from(`From: ${mailboxes.join(',\r\n ')}\r\n\r\n`))
    assert.deepEqual(read, count <= limits.fromMailboxesMax.value ? mailboxes : null)
  }
})

test('limit dsn.envelope-id: 100 characters pass, 101 do not, however few they stand for', () => {
  for (const characters of around(limits.envelopeIdCharactersMax.value))
    for (const envelopeId of ['x'.repeat(characters), `${'x'.repeat(characters - 3)}+2B`]) {
      const { problem } = parseMail(`FROM:<a@b> ENVID=${envelopeId}`)
      assert.equal(problem, characters <= 100 ? null : 'ENVID is longer than 100 characters, give a shorter one')
    }
})

test('limit dsn.original-recipient: 500 octets with the type pass, 501 do not, in ASCII and in UTF-8', () => {
  for (const octets of around(limits.originalRecipientBytesMax.value))
    for (const start of ['rfc822;', 'rfc822;+2B', 'utf-8;üü']) {
      const originalRecipient = start + 'x'.repeat(octets - Buffer.byteLength(start))
      const { problem } = parseRcpt(`TO:<a@b> ORCPT=${originalRecipient}`)
      assert.equal(problem, octets <= 500 ? null : 'ORCPT is longer than 500 octets, leave it out')
    }
})

/** A key whose modulus has so many bits, in PKCS#1. Its numbers are nobody's: it is loaded, never used. */
function rsaKeyOf(bits: number): string {
  const element = (tag: number, content: Buffer): Buffer => {
    const length = Buffer.alloc(2)
    length.writeUInt16BE(content.length)
    return Buffer.concat([Buffer.of(tag, 0x82), length, content])
  }
  const integer = (value: bigint): Buffer => {
    const hex = value.toString(16)
    return element(2, Buffer.from(hex.padStart(hex.length + 2 - (hex.length % 2), '0'), 'hex'))
  }
  const half = 2n ** BigInt(bits >> 1) + 1n
  const numbers = [0n, 2n ** BigInt(bits - 1) + 1n, 65_537n, half, half, half, half, half, half]
  const der = element(0x30, Buffer.concat(numbers.map(integer)))
  return `-----BEGIN RSA PRIVATE KEY-----\n${der.toString('base64')}\n-----END RSA PRIVATE KEY-----\n`
}

/** By the file and by the signer: whoever has a wrong key hears of it before anything starts. */
function isTaken(privateKeyPem: string): boolean {
  const sound = checkDkimKey(privateKeyPem) === null
  const sign = (): unknown => createSigner([{ domain: 'example.com', selector: 's', privateKeyPem }])
  if (sound) sign()
  else assert.throws(sign, /RSA key of \d+ bits/)
  return sound
}

test('limit dkim.rsa-bits-min, limit dkim.rsa-bits: 2,048 to 4,096 bits are taken, not one fewer or more', () => {
  for (const bits of around(limits.rsaBitsMin.value)) assert.equal(isTaken(rsaKeyOf(bits)), bits >= 2_048, `${bits}`)
  for (const bits of around(limits.rsaBitsMax.value)) assert.equal(isTaken(rsaKeyOf(bits)), bits <= 4_096, `${bits}`)
})
