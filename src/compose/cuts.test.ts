import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { passes, plainVerify } from '../../test/fixtures/sign/plain-verifier.ts'
import type { PreparedMessage } from '../ports/messages.ts'
import { createSigner } from '../sign/sign.ts'
import { prepare } from './compose.ts'
import type { ContentReader, StoredMessage } from './compose.ts'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const privateKeyPem = privateKey.export({ type: 'pkcs8', format: 'pem' })
const signer = createSigner([{ domain: 'example.com', selector: 's', privateKeyPem }])
const publicKeys = new Map([['s', publicKey]])

interface Piece {
  readonly text: string
  readonly cut: boolean
}

const kept = (text: string): Piece => ({ text, cut: false })
const cut = (text: string): Piece => ({ text, cut: true })

/** A stored message whose cuts are where the pieces say, and the same one that never had them. */
function stored(pieces: readonly Piece[]): { message: StoredMessage<Buffer>; plain: StoredMessage<Buffer> } {
  const cuts: number[] = []
  let at = 0
  for (const { text, cut: out } of pieces) {
    if (out && cuts.at(-1) === at) cuts[cuts.length - 1] = at + text.length
    else if (out) cuts.push(at, at + text.length)
    at += text.length
  }
  const whole = pieces.map(({ text }) => text).join('')
  const without = pieces.map(({ text, cut: out }) => (out ? '' : text)).join('')
  return { message: holding(whole, cuts), plain: holding(without, []) }
}

function holding(text: string, cuts: readonly number[]): StoredMessage<Buffer> {
  const content = Buffer.from(text, 'latin1')
  return {
    id: '01890a5d-ac96-774b-bcce-b302099a8057',
    tenant: 'acme',
    returnPath: 'bounces@example.com',
    recipients: ['ben@example.net'],
    eightBit: false,
    smtpUtf8: false,
    dsn: null,
    dotLines: text.startsWith('.') || text.includes('\r\n.'),
    addedHeaders: 'Received: from client by us; now\r\n',
    fromDomain: 'example.com',
    acceptedAtMs: 1_700_000_000_999,
    cuts,
    contentBytes: content.length,
    content,
  }
}

function inPieces(message: StoredMessage<Buffer>, pieceBytes: number): StoredMessage<ContentReader> {
  const read = async (position: number, bytesMax: number): Promise<Buffer> =>
    Buffer.from(message.content.subarray(position, position + Math.min(bytesMax, pieceBytes)))
  return { ...message, content: { read } }
}

async function wireOf(prepared: PreparedMessage): Promise<string> {
  const blocks: Buffer[] = []
  for (let block = await prepared.read(); block !== null; block = await prepared.read()) blocks.push(block)
  return Buffer.concat(blocks).toString('latin1')
}

/** Small and large, it is sent as if the fields had never been there, and the signature holds. */
async function sentAsPlain(pieces: readonly Piece[], pieceBytes: number): Promise<void> {
  const { message, plain } = stored(pieces)
  const small = prepare(message, signer)
  const expected = prepare(plain, signer)
  assert.equal(small.sizeBytes, expected.sizeBytes)
  const wire = await wireOf(small)
  assert.equal(wire, await wireOf(expected))
  const large = await prepare(inPieces(message, pieceBytes), signer)
  // Content in blocks always ends in CRLF, and its size relies on that.
  if (plain.content.length === 0 || plain.content.toString('latin1').endsWith('\r\n'))
    assert.equal(large.sizeBytes, expected.sizeBytes)
  assert.equal(await wireOf(large), wire)
  const unstuffed = wire.replaceAll('\r\n.', '\r\n')
  assert.deepEqual(plainVerify(unstuffed, publicKeys).map(passes), [true])
}

const from = kept('From: Ann <ann@example.com>\r\n')
const subject = kept('Subject: hello\r\n')
const body = kept('\r\nHello Ben,\r\n.\r\n..\r\nbye\r\n')
const tag = cut('X-Posthaste-Tag: one\r\n')
const folded = cut('x-posthaste-metadata:\r\n {"a":\r\n\t"b"}\r\n')

for (const [name, pieces] of [
  ['first', [tag, from, subject, body]],
  ['last', [from, subject, tag, body]],
  ['folded, in the middle', [from, folded, subject, body]],
  ['repeated, together', [from, tag, folded, tag, subject, body]],
  ['repeated, apart', [tag, from, folded, subject, tag, body]],
  ['the only one beside From', [from, tag, body]],
  ['the only one, without a body', [from, tag]],
  ['before a body that lacks the empty line', [from, tag, kept('no field\r\n')]],
  ['nothing but such', [tag, folded]],
  ['all of the header', [tag, body]],
  ['before a body that does not end its last line', [from, tag, kept('\r\n.x')]],
] as const) {
  test(`a field that spoke to us is not sent: ${name}`, async () => {
    for (const pieceBytes of [1, 7, 64, 10_000]) await sentAsPlain(pieces, pieceBytes)
  })
}

test('a header of 100 KiB with cuts all over it, in blocks', async () => {
  const pieces = [from]
  for (let i = 0; i < 32; i++) pieces.push(kept(`X-Long-${i}: ${'x'.repeat(3_000)}\r\n`), tag)
  await sentAsPlain([...pieces, body, kept('.line\r\n'.repeat(50_000))], 262_144)
})

test('any header: what is cut is neither sent nor signed nor counted', async () => {
  const piece = fc.oneof(
    fc.constantFrom(subject, tag, folded, cut('X-Posthaste-Class: bulk\r\n'), kept('A:\r\n\tb\r\n'), kept('.B: c\r\n')),
    fc.constantFrom(tag, folded, subject),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 20 }),
      fc.constantFrom(body, kept(''), kept('\r\n'), kept('\r\n.\r\n'), kept('text\r\n')),
      fc.integer({ min: 1, max: 90 }),
      (header, end, pieceBytes) => sentAsPlain([from, ...header, end], pieceBytes),
    ),
    { numRuns: 300 },
  )
})

test('cuts that cannot be are a broken record, and nothing is sent', () => {
  const { message } = stored([from, tag, body])
  for (const cuts of [[5, 5], [9, 3], [0, 10_000], [-1, 5], [0, 10, 5, 20], [3]])
    assert.throws(() => prepare({ ...message, cuts }, signer), /cuts rise/, String(cuts))
})
