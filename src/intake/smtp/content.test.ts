import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { ContentScanner } from './content.ts'

interface Result {
  content: string
  rest: number
  flags: string
}

function scan(chunks: readonly Buffer[], stuffed: boolean): Result {
  const runs: Buffer[] = []
  const sink = {
    content(bytes: Buffer, start: number, end: number) {
      assert.ok(end > start)
      runs.push(Buffer.from(bytes.subarray(start, end)))
    },
  }
  const scanner = new ContentScanner(sink, stuffed)
  let rest = 0
  for (const chunk of chunks) {
    const used = scanner.ended ? 0 : scanner.scan(chunk, 0, chunk.length)
    rest += chunk.length - used
  }
  if (!stuffed) scanner.finish()
  const { ended, bareLineEnd, nul, longLine, dotLines, headerEnd, headerLines, eightBit, atLineStart } = scanner
  const flags = JSON.stringify({
    ended,
    bareLineEnd,
    nul,
    longLine,
    dotLines,
    headerEnd,
    headerLines,
    eightBit,
    atLineStart,
  })
  return { content: Buffer.concat(runs).toString('latin1'), rest, flags }
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [0, ...at.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  // Each piece lies at another alignment, as it would in buffers of the network, among bytes that are nobody's.
  return places.slice(1).map((end, i) => {
    const piece = bytes.subarray(places[i], end)
    const home = Buffer.alloc(piece.length + i + 8, i % 2 === 0 ? 0xff : 0)
    piece.copy(home, i % 8)
    return home.subarray(i % 8, (i % 8) + piece.length)
  })
}

/** What RFC 5321 §4.5.2 says, by regular expressions over the whole. */
function plainModel(wire: string): { content: string; rest: number; clean: boolean } | null {
  const end = wire.startsWith('.\r\n') ? 0 : wire.indexOf('\r\n.\r\n') + 2
  if (end === 1) return null
  const stuffed = wire.slice(0, end)
  return {
    content: stuffed.replaceAll(/(^|\r\n)\./g, '$1'),
    rest: wire.length - end - 3,
    clean: !/\r(?!\n)|(?<!\r)\n/.test(stuffed),
  }
}

const wireText = fc
  .array(
    fc.constantFrom(
      '\r\n',
      '\r\n',
      '.',
      '\r\n.',
      '\r',
      '\n',
      'a',
      'text of a line',
      '\0',
      '\xe4\xff',
      ' ',
      'x'.repeat(90),
    ),
    {
      maxLength: 40,
      size: 'max',
    },
  )
  .map((parts) => parts.join(''))

test('any split of the stream gives the same result', () => {
  const longLines = fc.constantFrom('', 'y'.repeat(998), 'y'.repeat(999), `.${'y'.repeat(998)}`)
  fc.assert(
    fc.property(
      wireText,
      longLines,
      wireText,
      fc.array(fc.nat(4_000), { maxLength: 8, size: 'max' }),
      fc.boolean(),
      (one, long, two, at, stuffed) => {
        const wire = Buffer.from(`${one}${long}${two}\r\n.\r\nRSET\r\n`, 'latin1')
        assert.deepEqual(scan(cut(wire, at), stuffed), scan([wire], stuffed))
      },
    ),
    { numRuns: 1500 },
  )
})

test('cut at every byte', () => {
  const wire = Buffer.from('From: a@b\r\n\r\n..dot\r\n.x\r\n\xe4\r\n...\r\n.\r\nMAIL', 'latin1')
  const whole = scan([wire], true)
  assert.equal(whole.content, 'From: a@b\r\n\r\n.dot\r\nx\r\n\xe4\r\n..\r\n')
  assert.equal(whole.rest, 4)
  for (let at = 0; at <= wire.length; at++) assert.deepEqual(scan(cut(wire, [at]), true), whole)
  assert.deepEqual(
    scan(
      Array.from(wire, (byte) => Buffer.from([byte])),
      true,
    ),
    whole,
  )
})

test('end and content agree with the plain reading of the RFC', () => {
  fc.assert(
    fc.property(wireText, (text) => {
      const wire = `${text}\r\n.\r\nnext`
      const expected = plainModel(wire)
      const result = scan([Buffer.from(wire, 'latin1')], true)
      assert.ok(expected !== null)
      assert.equal(result.rest, expected.rest)
      assert.equal(JSON.parse(result.flags).bareLineEnd, !expected.clean)
      if (expected.clean) assert.equal(result.content, expected.content)
    }),
    { numRuns: 2000 },
  )
})

test('what is noted of the content', () => {
  const flags = (text: string, stuffed = true): Record<string, unknown> =>
    JSON.parse(scan([Buffer.from(text, 'latin1')], stuffed).flags)
  assert.equal(flags('a\r\n\r\nb\r\n')['headerEnd'], 5)
  assert.equal(flags('\r\nb\r\n')['headerEnd'], 2)
  assert.equal(flags('a\r\n b\r\nc')['headerEnd'], -1)
  assert.equal(flags('a\r\n..b\r\n')['dotLines'], true)
  assert.equal(flags('a\r\n.b\r\n')['dotLines'], false)
  assert.equal(flags('a\r\n.b\r\n', false)['dotLines'], true)
  assert.equal(flags('\xff')['eightBit'], true)
  assert.equal(flags('plain text of some length'.repeat(9))['eightBit'], false)
  assert.equal(flags(`${'x'.repeat(80)}\0`)['nul'], true)
  assert.equal(flags(`${'x'.repeat(998)}\r\n`)['longLine'], false)
  assert.equal(flags(`${'x'.repeat(999)}\r\n`)['longLine'], true)
  assert.equal(flags(`.${'x'.repeat(998)}\r\n`)['longLine'], false)
  assert.equal(flags('a\r', false)['bareLineEnd'], true)
  assert.equal(flags('\x01\x0b\t\x0c\r\n')['bareLineEnd'], false)
})
