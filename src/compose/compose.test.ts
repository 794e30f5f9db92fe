import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { passes, plainVerify } from '../../test/fixtures/sign/plain-verifier.ts'
import { MessageDamaged } from '../ports/messages.ts'
import type { PreparedMessage } from '../ports/messages.ts'
import type { Signer } from '../ports/signer.ts'
import { createSigner } from '../sign/sign.ts'
import { prepare } from './compose.ts'
import type { ContentReader, StoredMessage } from './compose.ts'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const privateKeyPem = privateKey.export({ type: 'pkcs8', format: 'pem' })
const realSigner = createSigner([{ domain: 'example.com', selector: 's', privateKeyPem }])
const publicKeys = new Map([['s', publicKey]])
const noSigner: Signer = { forDomain: () => null }

const added = 'Received: from client by us; now\r\n'
const envelope = {
  id: '01890a5d-ac96-774b-bcce-b302099a8057',
  tenant: 'acme',
  returnPath: 'bounces@example.com',
  recipients: ['ben@example.net'],
  eightBit: false,
  smtpUtf8: false,
  dsn: null,
  addedHeaders: added,
  fromDomain: 'example.com',
  acceptedAtMs: 1_700_000_000_999,
  cuts: [],
}

function stored(text: string, change: Partial<StoredMessage> = {}): StoredMessage<Buffer> {
  const content = Buffer.from(text, 'latin1')
  const dotLines = text.startsWith('.') || text.includes('\r\n.')
  return { ...envelope, dotLines, ...change, contentBytes: content.length, content }
}

/** The same message, its content only to be had in pieces of at most `pieceBytes`. */
function inPieces(message: StoredMessage<Buffer>, pieceBytes: number): StoredMessage<ContentReader> {
  const read = async (position: number, bytesMax: number): Promise<Buffer> =>
    Buffer.from(message.content.subarray(position, position + Math.min(bytesMax, pieceBytes)))
  return { ...message, content: { read } }
}

async function wireOf(prepared: PreparedMessage): Promise<string> {
  const blocks: Buffer[] = []
  for (let block = await prepared.read(); block !== null; block = await prepared.read()) blocks.push(block)
  assert.equal(await prepared.read(), null)
  return Buffer.concat(blocks).toString('latin1')
}

function wireAtOnce(message: StoredMessage<Buffer>, signer: Signer): string {
  const prepared = prepare(message, signer)
  const wire = prepared.read()
  assert.ok(Buffer.isBuffer(wire))
  assert.equal(prepared.read(), null)
  return wire.toString('latin1')
}

const unstuffed = (wire: string): string => wire.replace(/^\./, '').replaceAll('\r\n.', '\r\n')

test('added fields in front, stored bytes as they are, envelope passed on', () => {
  const text = 'From: ann@example.com\r\n\r\nHello\r\n'
  const prepared = prepare(stored(text), noSigner)
  const { id, returnPath, recipients, eightBit, smtpUtf8 } = prepared
  assert.deepEqual(
    { id, returnPath, recipients, eightBit, smtpUtf8 },
    {
      id: envelope.id,
      returnPath: 'bounces@example.com',
      recipients: ['ben@example.net'],
      eightBit: false,
      smtpUtf8: false,
    },
  )
  assert.equal(prepared.sizeBytes, added.length + text.length)
  assert.deepEqual(prepared.read(), Buffer.from(added + text))
  assert.equal(prepared.read(), null)
})

test('added fields in UTF-8 are counted in bytes', () => {
  const prepared = prepare(
    stored('From: ann@example.com\r\n\r\n', { addedHeaders: 'Received: from bücher\r\n' }),
    noSigner,
  )
  const wire = prepared.read()
  assert.ok(Buffer.isBuffer(wire))
  assert.equal(wire.toString('utf8'), 'Received: from bücher\r\nFrom: ann@example.com\r\n\r\n')
  assert.equal(prepared.sizeBytes, wire.length)
})

test('whatever lacks to be legal is put in, and nothing else', async () => {
  for (const [text, wire] of [
    ['A: 1\r\n\r\nbody\r\n', 'A: 1\r\n\r\nbody\r\n'],
    ['A: 1\r\n\r\nbody', 'A: 1\r\n\r\nbody\r\n'],
    ['A: 1\r\n\r\n', 'A: 1\r\n\r\n'],
    ['A: 1\r\n', 'A: 1\r\n'],
    ['A: 1', 'A: 1\r\n'],
    ['A: 1\r\nno field\r\n', 'A: 1\r\n\r\nno field\r\n'],
    ['A: 1\r\nno field', 'A: 1\r\n\r\nno field\r\n'],
    [' would fold onto our field\r\n', '\r\n would fold onto our field\r\n'],
    ['\r\nbody\r\n', '\r\nbody\r\n'],
    ['\r\n', '\r\n'],
  ] as const) {
    const message = stored(text, { dotLines: false })
    for (const signer of [noSigner, realSigner]) {
      const whole = wireAtOnce(message, signer)
      assert.ok(whole.endsWith(added + wire), JSON.stringify(text))
      assert.equal(prepare(message, signer).sizeBytes, whole.length)
      assert.equal(whole.length > added.length + wire.length, signer === realSigner)
      if (signer === realSigner)
        assert.deepEqual(plainVerify(whole, publicKeys).map(passes), [true], JSON.stringify(text))
      for (const pieceBytes of [1, 2, 3, 100]) {
        assert.equal(await wireOf(await prepare(inPieces(message, pieceBytes), signer)), whole)
      }
    }
  }
  assert.equal(wireAtOnce(stored(''), noSigner), added)
  assert.equal(await wireOf(await prepare(inPieces(stored(''), 1), noSigner)), added)
})

test('dots are stuffed at the beginning of lines only, and only when told', () => {
  const text = '.Odd: name\r\nA: .\r\n .fold\r\n\r\n.\r\n..\r\na.b\r\n\n.\r.\r\n.'
  assert.equal(
    wireAtOnce(stored(text), noSigner),
    `${added}..Odd: name\r\nA: .\r\n .fold\r\n\r\n..\r\n...\r\na.b\r\n\n.\r.\r\n..\r\n`,
  )
  assert.equal(wireAtOnce(stored(text, { dotLines: false }), noSigner), `${added}${text}\r\n`)
})

test('the signature covers what is sent before stuffing, at every attempt with the same bytes', async () => {
  const text = 'From: Ann <ann@example.com>\r\nSubject: dots\r\n\r\n.\r\n..two\r\nlast  \r\n\r\n'
  const message = stored(text)
  const wire = wireAtOnce(message, realSigner)
  assert.ok(wire.startsWith('DKIM-Signature: v=1; a=ed25519-sha256;'))
  assert.match(wire, /t=1700000000;/)
  assert.deepEqual(plainVerify(unstuffed(wire), publicKeys).map(passes), [true])
  assert.equal(wireAtOnce(message, realSigner), wire)
  assert.equal(prepare(message, realSigner).sizeBytes, unstuffed(wire).length)
  for (const pieceBytes of [1, 7, 64, 10_000]) {
    const prepared = await prepare(inPieces(message, pieceBytes), realSigner)
    assert.equal(prepared.sizeBytes, unstuffed(wire).length)
    assert.equal(await wireOf(prepared), wire)
  }
})

test('a refused envelope costs no signature', () => {
  let asked = 0
  const signer: Signer = {
    forDomain: (domain, tenant) => {
      assert.deepEqual([domain, tenant], ['example.com', 'acme'])
      return { body: () => void asked++, fieldsBytes: () => 7, fields: () => (asked++, 'Sig: 1\r\n') }
    },
  }
  const prepared = prepare(stored('A: 1\r\n\r\nx\r\n'), signer)
  assert.equal(prepared.sizeBytes, 7 + added.length + 11)
  assert.equal(asked, 0)
})

test('signing sees exactly the added and stored header fields, and the body', () => {
  const seen: string[] = []
  const signer: Signer = {
    forDomain: () => ({
      body: (bytes) => void seen.push(Buffer.from(bytes).toString()),
      fieldsBytes: () => 8,
      fields: (header, timeSeconds) => {
        seen.push(header.toString(), String(timeSeconds))
        return 'Sig: 1\r\n'
      },
    }),
  }
  assert.ok(Buffer.isBuffer(prepare(stored('A: 1\r\nB: 2\r\n\r\n.body\r\n'), signer).read()))
  assert.deepEqual(seen, ['.body\r\n', `${added}A: 1\r\nB: 2\r\n`, '1700000000'])
})

test('any content: in one block or in pieces the wire is the same, and gives the content back', async () => {
  const part = fc.constantFrom('A: 1', 'b', ':', '.', '..', '\r\n', '\r\n', '\r\n.', '\r', '\n', ' ')
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 30 }), fc.integer({ min: 1, max: 12 }), async (parts, pieceBytes) => {
      const message = stored(`From: ann@example.com\r\n${parts.join('')}\r\n`)
      const wire = wireAtOnce(message, realSigner)
      const plain = wire.replaceAll('\r\n.', '\r\n')
      assert.equal(plain.length, prepare(message, realSigner).sizeBytes)
      assert.equal(wire.split('\r\n').includes('.'), false)
      assert.deepEqual(plainVerify(plain, publicKeys).map(passes), [true])
      const inserted = plain.length - plain.indexOf(added) - added.length - message.contentBytes
      assert.ok(inserted === 0 || inserted === 2)
      assert.equal(await wireOf(await prepare(inPieces(message, pieceBytes), realSigner)), wire)
    }),
    { numRuns: 300 },
  )
})

test('large content goes in blocks of at most 256 KiB, read twice when signed', async () => {
  const line = `${'.x'.repeat(38)}\r\n`
  const message = stored(`From: ann@example.com\r\n\r\n${line.repeat(15_000)}`)
  const positions: number[] = []
  const read = async (position: number, bytesMax: number): Promise<Buffer> => {
    positions.push(position)
    assert.ok(bytesMax <= 262_144 && position + bytesMax <= message.contentBytes)
    return message.content.subarray(position, position + bytesMax)
  }
  const wire = wireAtOnce(message, realSigner)
  const prepared = await prepare({ ...message, content: { read } }, realSigner)
  assert.deepEqual(positions, [0])
  assert.equal(await wireOf(prepared), wire)
  assert.equal(positions.length, 1 + 2 * Math.ceil(message.contentBytes / 262_144))
  assert.deepEqual(plainVerify(unstuffed(wire), publicKeys).map(passes), [true])
})

test('a header block over several blocks is signed, one above the limit goes out unsigned', async () => {
  const head = (bytes: number): string =>
    `From: ann@example.com\r\n${`X: ${'y'.repeat(995)}\r\n`.repeat(bytes / 1_000)}\r\nbody\r\n`
  for (const [bytes, isSigned] of [
    [300_000, true],
    [1_000_000, true],
    [1_500_000, false],
  ] as const) {
    const message = stored(head(bytes))
    const prepared = await prepare(inPieces(message, 262_144), realSigner)
    const wire = await wireOf(prepared)
    assert.equal(wire.length, prepared.sizeBytes)
    assert.ok(wire.endsWith(added + message.content.toString('latin1')))
    assert.deepEqual(plainVerify(wire, publicKeys).map(passes), isSigned ? [true] : [])
  }
})

test('a reader that ends early or fails is damage, not the end of the message', async () => {
  const message = stored(`From: ann@example.com\r\n\r\n${'x'.repeat(1_000)}\r\n`)
  const short: ContentReader = { read: async (at, max) => message.content.subarray(at, Math.min(500, at + max)) }
  for (const signer of [noSigner, realSigner]) {
    const prepared = await prepare({ ...message, content: short }, signer)
    await assert.rejects(wireOf(prepared), MessageDamaged)
  }
  const broken: ContentReader = { read: () => Promise.reject(new MessageDamaged('checksum')) }
  await assert.rejects(prepare({ ...message, content: broken }, noSigner), MessageDamaged)
})

test('a content that is not as long as its record says stops everything', () => {
  assert.throws(() => prepare({ ...stored('A: 1\r\n'), contentBytes: 7 }, noSigner), /content has the length/)
})
