/** Long texts in blocks, against the encoder that takes them in one piece. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { anyLines } from '../../../test/support/any-lines.ts'
import { mimeMessage, wireBytes } from '../../../test/support/mime.ts'
import { base64Blocks } from './base64.ts'
import { isLong, LongText } from './long-text.ts'
import { assembledBytes } from './mime.ts'
import { encodeText } from './transfer.ts'

const delimiter = '=_seed_'

function inOnePiece(text: string): { encoding: string; body: string } {
  const { encoding, body } = encodeText(text, delimiter)
  return { encoding, body: typeof body === 'string' ? body : Buffer.concat([...base64Blocks(body)]).toString() }
}

function inBlocks(text: string, blockCharacters: number): { encoding: string; body: string } {
  const long = new LongText(text, blockCharacters)
  const encoding = long.encoding(delimiter)
  return { encoding, body: Buffer.concat([...long.blocks(encoding)]).toString() }
}

test('blocks of any size become, byte for byte, what one piece becomes', () => {
  const repeats = fc.integer({ min: 1, max: 40 })
  const blockCharacters = fc.oneof(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 3_000 }))
  fc.assert(
    fc.property(anyLines, repeats, blockCharacters, fc.constantFrom(1, 2, 100, 1e9), (unit, times, size, step) => {
      const text = unit.repeat(times)
      const expected = inOnePiece(text)
      const long = new LongText(text, size)
      while (!long.lookOver(step)) assert.ok(text.length > 0)
      assert.equal(long.encoding(delimiter), expected.encoding)
      assert.deepEqual(inBlocks(text, size), expected)
      if (expected.encoding !== 'quoted-printable') return
      assert.ok(expected.body.split('\r\n').every((line) => line.length <= 76 && !/[ \t]$/.test(line)))
    }),
    { numRuns: 150 },
  )
})

test('what lies across the edge of a block is not torn apart: CRLF, a character, a space in front of a line end, a line', () => {
  for (const middle of ['\r\n', '\r\r\n', '😀', '中', ' \r\n', '\t\n', ' \r', '  ', '=', '\ud83d', 'x'.repeat(1_000)]) {
    for (const end of ['', 'x', '\n', ' ', '\r\n']) {
      for (const start of ['', 'é', '\0']) {
        const text = `${start}${'abcd '.repeat(14)}${middle}${end}`
        for (let size = 1; size <= text.length; size++) assert.deepEqual(inBlocks(text, size), inOnePiece(text))
      }
    }
  }
})

test('a long text goes out as a short one does, looked over before or not', () => {
  const units = ['line\n', 'x', 'é1234', 'é123\r\n', '中文\n', 'x \n\0', '=_seed_ \r']
  for (const unit of units) {
    const text = unit.repeat(140_000 / unit.length)
    assert.ok(isLong(text) && !isLong(text.slice(0, 128 * 1024)))
    for (const others of [{}, { html: 'h' }]) {
      const { encoding, body } = inOnePiece(text)
      const given = mimeMessage({ ...others, text })
      const wire = wireBytes(given)
      const message = wire.toString('latin1')
      assert.equal(assembledBytes(given), wire.length)
      assert.ok(message.includes(`Content-Transfer-Encoding: ${encoding}\r\n`))
      const [before, behind] = message.split(body)
      assert.match(before ?? '', /\r\n\r\n$/)
      if ('html' in others) assert.match(behind ?? '', /^\r\n--=_seed_2\r\n/)
      else assert.equal(behind, encoding !== 'base64' && body.endsWith('\r\n') ? '' : '\r\n')
      const long = new LongText(text)
      long.lookOver(50_000)
      assert.deepEqual(wireBytes({ ...given, text: long }), wire)
    }
  }
})

test('no block is large, whatever the text is', () => {
  for (const unit of ['=', '中x'.repeat(1_000) + 'x'.repeat(7_000), '\n', 'é1234']) {
    const long = new LongText(unit.repeat(1_000_000 / unit.length))
    for (const block of long.blocks(long.encoding(delimiter))) assert.ok(block.length <= 9.2 * 32 * 1024)
  }
})
