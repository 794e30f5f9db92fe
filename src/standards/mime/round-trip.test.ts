/** Whatever is put into a message, a reader that is not ours gets it out again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { anyCharacter } from '../../../test/support/any-character.ts'
import { attachment, mimeMessage, read, wireBytes } from '../../../test/support/mime.ts'
import { assembledBytes, type MimeMessage } from './mime.ts'

const runs = { numRuns: 60 }

/** Whole characters of every plane but those that no header holds; the reader drops a byte order mark that begins a text. */
const line = fc
  .oneof(
    fc.string({ unit: anyCharacter, maxLength: 120 }),
    fc.string({
      unit: fc.constantFrom('a', ' ', '=', '?', '_', '"', '\\', ',', '<', 'ü', '中', '😀', '\t'),
      maxLength: 120,
    }),
    fc.string({ unit: 'grapheme-ascii', maxLength: 300 }),
  )
  .map((text) => text.replace(/[\r\n\0\ufeff]/g, '-'))

/** Lines of all lengths, ends of all kinds. */
const body = fc
  .array(
    fc.oneof(
      fc.string({ unit: anyCharacter, maxLength: 100 }),
      fc.constantFrom('\n', '\r\n', '\r', ' ', '\t', '=', '.', '--=_seed_1', '--', 'Привет', 'x'.repeat(1_000), '\n\n'),
    ),
    { maxLength: 30 },
  )
  .map((parts) => parts.join('').replace(/\ufeff/g, '-'))

/** The reader ends the last line of a text itself, unless it was in base64. */
function assertSameText(found: string | undefined, expected: string): void {
  const lines = expected.replace(/\r\n|\r/g, '\n')
  const foundLines = (found ?? '').replaceAll('\r\n', '\n')
  if (foundLines !== lines) assert.equal(foundLines, `${lines}\n`)
}

function assertSoundLines(message: MimeMessage): void {
  const bytes = wireBytes(message)
  assert.equal(bytes.length, assembledBytes(message))
  assert.ok(bytes.every((byte) => byte < 0x80))
  const wire = bytes.toString('latin1')
  assert.ok(wire.endsWith('\r\n') && !/[^\r]\n|\r[^\n]/.test(wire))
  assert.ok(wire.split('\r\n').every((text) => text.length <= 998))
  for (const text of wire.slice(0, wire.indexOf('\r\n\r\n')).split('\r\n')) {
    assert.match(text, /^[!-9;-~]+:|^ \S/)
    if (text.includes('=?utf-8?')) assert.ok(text.length <= 76, text)
  }
}

test('any subject and any display name', async () => {
  await fc.assert(
    fc.asyncProperty(line, line, line, async (subject, first, second) => {
      const given = mimeMessage({
        subject,
        from: { name: first, address: 'ann@example.com' },
        to: [
          { name: second, address: 'bob@example.net' },
          { name: first, address: '"b b"@example.net' },
        ],
        text: 'x',
      })
      assertSoundLines(given)
      const email = await read(given)
      assert.equal(email.subject ?? '', subject)
      assert.deepEqual(email.from, { name: first, address: 'ann@example.com' })
      assert.deepEqual(
        email.to?.map(({ name }) => name),
        [second, first],
      )
    }),
    runs,
  )
})

test('any file name and any content', async () => {
  // The reader decodes encoded words even here, where RFC 2047 §5 has none.
  const filename = line.map((text) => text.replace(/=\?/g, '--'))
  await fc.assert(
    fc.asyncProperty(filename, fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (name, content, inline) => {
      const given = mimeMessage({ text: 'x', attachments: [attachment({ filename: name, content, inline })] })
      assertSoundLines(given)
      const [found] = (await read(given)).attachments
      assert.equal(found?.filename ?? '', name)
      assert.deepEqual(Buffer.from(found?.content as ArrayBuffer), Buffer.from(content))
      assert.equal(found?.disposition, inline ? 'inline' : 'attachment')
    }),
    runs,
  )
})

test('any text and any HTML', async () => {
  await fc.assert(
    fc.asyncProperty(body, body, async (text, html) => {
      const both = mimeMessage({ text, html: `<p>${html}`, attachments: [attachment()] })
      assertSoundLines(both)
      const email = await read(both)
      assertSameText(email.text, text)
      assertSameText(email.html, `<p>${html}`)

      const alone = mimeMessage({ text: `.${text}` })
      assertSoundLines(alone)
      assertSameText((await read(alone)).text, `.${text}`)
    }),
    runs,
  )
})

test('any value of a further field', async () => {
  await fc.assert(
    fc.asyncProperty(fc.stringMatching(/^[!-~]([ -~]{0,300}[!-~])?$/), async (value) => {
      const given = mimeMessage({ text: 'x', headers: [{ name: 'X-Note', value }] })
      assertSoundLines(given)
      const field = (await read(given)).headers.find(({ key }) => key === 'x-note')
      assert.equal(field?.value, value)
    }),
    runs,
  )
})
