/** Bodies to the byte: when they travel as they are, and how they are encoded otherwise. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { anyLines } from '../../../test/support/any-lines.ts'
import { lineBytesMax } from '../limits.ts'
import { base64Blocks, base64Bytes } from './base64.ts'
import { encodeLines, encodeText, plainMessage } from './transfer.ts'

const delimiter = '=_seed_'
const encoding = (text: string): string => encodeText(text, delimiter).encoding
/** Its quoted-printable; what begins a delimiter in front keeps the text from being 7bit. */
const quoted = (text: string): unknown => encodeText(`${delimiter}${text}`, delimiter).body

test('short ASCII lines travel as they are, each with CRLF', () => {
  assert.deepEqual(encodeText('a\nb\r\nc\rd\n\r\n', delimiter), { encoding: '7bit', body: 'a\r\nb\r\nc\r\nd\r\n\r\n' })
  assert.deepEqual(encodeText('', delimiter), { encoding: '7bit', body: '' })
  assert.equal(encoding('tab\tand \x1b bell \x07 and trailing space \n.\nFrom x\n'), '7bit')
  assert.equal(encoding('NUL \0'), 'quoted-printable')
})

test('limit mime.line: a body with lines of 998 octets travels as it is, with one of 999 it is encoded', () => {
  for (const octets of [997, 998, 999]) {
    const expected = octets <= lineBytesMax.value ? '7bit' : 'quoted-printable'
    const line = 'x'.repeat(octets)
    for (const text of [line, `${line}\n`, `a\n${line}`, `a\n${line}\nb\n`, `${line}\r\n${line}`])
      assert.equal(encoding(text), expected)
  }
})

test('quoted-printable escapes what it must: beyond ASCII, "=", white space at the end of a line', () => {
  assert.equal(quoted('a=b \tc\n'), '=3D_seed_a=3Db \tc\r\n')
  assert.equal(quoted('a \nb\t\n c '), '=3D_seed_a=20\r\nb=09\r\n c=20')
  assert.equal(quoted('ü, NUL \0, BEL \x07'), '=3D_seed_=C3=BC, NUL =00, BEL =07')
})

test('quoted-printable lines have at most 76 characters, and no escape is torn apart', () => {
  assert.equal(quoted('x'.repeat(66)), `=3D_seed_${'x'.repeat(66)}`)
  assert.equal(quoted('x'.repeat(67)), `=3D_seed_${'x'.repeat(66)}=\r\nx`)
  assert.equal(quoted(`${'x'.repeat(64)}=`), `=3D_seed_${'x'.repeat(64)}=\r\n=3D`)
  assert.equal(quoted(`${'x'.repeat(63)}=`), `=3D_seed_${'x'.repeat(63)}=3D`)
})

test('text of which more than a third would be escaped goes in base64', () => {
  assert.equal(encoding('Grüße aus Köln, wo die Straßen schön sind. '.repeat(20)), 'quoted-printable')
  assert.equal(encoding('Привет из Москвы. '.repeat(20)), 'base64')
  assert.deepEqual(encodeText('你好\n', delimiter), { encoding: 'base64', body: Buffer.from('你好\r\n') })
  assert.equal(encoding('ü1234'), 'quoted-printable')
  assert.equal(encoding('ü123'), 'base64')
})

test('text that could be taken for a delimiter is encoded', () => {
  assert.equal(encoding('--=_other_1'), '7bit')
  const { encoding: chosen, body } = encodeText('--=_seed_1\nx', delimiter)
  assert.equal(chosen, 'quoted-printable')
  assert.equal(body, '--=3D_seed_1\r\nx')
})

test('an attached message travels as it is, or not as a message', () => {
  assert.deepEqual(plainMessage(Buffer.from('A: b\n\nc'), delimiter), { encoding: '7bit', body: 'A: b\r\n\r\nc' })
  assert.equal(plainMessage(Buffer.from('A: ü\r\n\r\n'), delimiter), null)
  assert.equal(plainMessage(Buffer.from('A: b\r\n\r\n--=_seed_1\r\n'), delimiter), null)
})

test('base64 of every length around a line and a block is what Node makes of it, in lines of 76', () => {
  const bytes = Buffer.from(Array.from({ length: 140_000 }, (_, i) => (i * 167 + (i >> 8)) & 0xff))
  const lengths = [0, 1, 2, 3, 4, 56, 57, 58, 59, 114, 115, 47_879, 47_880, 47_881, 95_760, 95_761, 140_000]
  for (const length of lengths) {
    const content = bytes.subarray(1, 1 + length)
    const blocks = [...base64Blocks(content)]
    const expected = content.toString('base64').replace(/.{76}(?=.)/g, '$&\r\n')
    assert.equal(Buffer.concat(blocks).toString(), expected)
    assert.equal(base64Bytes(content.length), expected.length)
    assert.ok(blocks.every((block) => block.length <= 65_536))
  }
})

/** As RFC 2045 puts it, line by line and character by character. */
function obvious(text: string): { encoding: string; body: string | Uint8Array } {
  const lines = text.toWellFormed().split(/\r\n|\r|\n/)
  const body = lines.join('\r\n')
  const isPlain =
    !/[\0\x80-\uffff]/.test(body) && lines.every((line) => line.length <= 998) && !body.includes(delimiter)
  if (isPlain) return { encoding: '7bit', body }
  const bytes = Buffer.from(body)
  if (3 * bytes.filter((byte) => byte > 0x7e).length > bytes.length) return { encoding: 'base64', body: bytes }
  return { encoding: 'quoted-printable', body: lines.map(obviousQuoted).join('\r\n') }
}

function obviousQuoted(line: string): string {
  const bytes = [...Buffer.from(line)]
  let out = ''
  let column = 0
  for (const [i, byte] of bytes.entries()) {
    const isLiteral = /[\t -<>-~]/.test(String.fromCharCode(byte)) && byte < 0x80
    const isLastSpace = i === bytes.length - 1 && (byte === 0x20 || byte === 0x09)
    const word =
      isLiteral && !isLastSpace ? String.fromCharCode(byte) : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`
    if (column + word.length > 75) {
      out += '=\r\n'
      column = 0
    }
    out += word
    column += word.length
  }
  return out
}

test('a text of any lines becomes what the obvious way makes of it', () => {
  fc.assert(
    fc.property(anyLines, (text) => {
      assert.deepEqual(encodeText(text, delimiter), obvious(text))
      const bytes = Buffer.from(text)
      const plain = obvious(bytes.toString('latin1'))
      assert.deepEqual(plainMessage(bytes, delimiter), plain.encoding === '7bit' ? plain : null)
      const decoded = encodeLines(bytes).body
      assert.ok(decoded.split('\r\n').every((line) => line.length <= 998 && !/[\0\x80-\uffff]/.test(line)))
    }),
    { numRuns: 100 },
  )
})
