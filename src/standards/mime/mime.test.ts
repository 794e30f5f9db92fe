/** The shapes of messages, and how their bytes come out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attachment, mimeMessage, wireText } from '../../../test/support/mime.ts'
import { assemble, assembledBytes, type MimeMessage, MimeProblem } from './mime.ts'

/** The types of the parts, with their depth: "alternative(text/plain text/html)". */
function shape(given: Partial<MimeMessage>): string {
  const types = [...wireText(mimeMessage(given)).matchAll(/^Content-Type: ([\w/-]+)|^--=_seed_\d--/gm)]
  return types
    .map(([, type]) => (type === undefined ? ')' : type.replace(/^multipart\/(.*)/, '$1(')))
    .join(' ')
    .replaceAll('( ', '(')
    .replaceAll(' )', ')')
}

const logo = attachment({ filename: 'logo.png', contentType: 'image/png', contentId: 'logo', inline: true })
const file = attachment()
const calendar = { method: 'request', content: 'BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n' }

test('a level with only one part is left out', () => {
  assert.equal(shape({}), 'text/plain')
  assert.equal(shape({ text: 't' }), 'text/plain')
  assert.equal(shape({ html: 'h' }), 'text/html')
  assert.equal(shape({ text: 't', html: 'h' }), 'alternative(text/plain text/html)')
  assert.equal(shape({ html: 'h', attachments: [logo] }), 'related(text/html image/png)')
  assert.equal(shape({ attachments: [file] }), 'mixed(application/octet-stream)')
  assert.equal(shape({ text: 't', attachments: [file] }), 'mixed(text/plain application/octet-stream)')
  assert.equal(
    shape({ text: 't', amp: 'a', html: 'h', calendar, attachments: [file, logo, file] }),
    'mixed(alternative(text/plain text/x-amp-html related(text/html image/png) text/calendar)' +
      ' application/octet-stream application/octet-stream)',
  )
})

test('an inline attachment that nothing can name is an attachment', () => {
  assert.equal(shape({ text: 't', attachments: [logo] }), 'mixed(text/plain image/png)')
  assert.equal(shape({ html: 'h', attachments: [{ ...logo, contentId: undefined }] }), 'mixed(text/html image/png)')
})

test('a message with everything, to the byte', () => {
  const given = mimeMessage({
    text: 'T\n',
    html: '<p>Über',
    attachments: [logo, attachment({ content: Buffer.alloc(58) })],
  })
  assert.equal(
    wireText(given).slice(assemble(given).headerText.indexOf('MIME-Version')),
    'MIME-Version: 1.0\r\n' +
      'Content-Type: multipart/mixed; boundary="=_seed_1"\r\n\r\n' +
      '--=_seed_1\r\n' +
      'Content-Type: multipart/alternative; boundary="=_seed_2"\r\n\r\n' +
      '--=_seed_2\r\n' +
      'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n' +
      'T\r\n\r\n' +
      '--=_seed_2\r\n' +
      'Content-Type: multipart/related; type="text/html"; boundary="=_seed_3"\r\n\r\n' +
      '--=_seed_3\r\n' +
      'Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n' +
      '<p>=C3=9Cber\r\n' +
      '--=_seed_3\r\n' +
      'Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n' +
      'Content-Disposition: inline; filename="logo.png"\r\nContent-ID: <logo>\r\n\r\n' +
      'Y29udGVudA==\r\n' +
      '--=_seed_3--\r\n' +
      '--=_seed_2--\r\n' +
      '--=_seed_1\r\n' +
      'Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n' +
      'Content-Disposition: attachment; filename="a.bin"\r\n\r\n' +
      `${'A'.repeat(76)}\r\nAA==\r\n` +
      '--=_seed_1--\r\n',
  )
})

test('an invitation says its method', () => {
  const wire = wireText(mimeMessage({ text: 't', calendar }))
  assert.ok(wire.includes('Content-Type: text/calendar; charset=utf-8; method=REQUEST\r\n'))
  assert.throws(() => assemble(mimeMessage({ calendar: { ...calendar, method: 'a=b' } })), {
    code: 'calendar_method_invalid',
  })
})

test('file names beyond ASCII go by RFC 2231, behind a name for those who know nothing else', () => {
  const name = (filename: string): string =>
    /Content-Disposition: attachment; ?([^]*?)\r\n\r\n/.exec(
      wireText(mimeMessage({ attachments: [attachment({ filename })] })),
    )?.[1] as string
  assert.equal(name('a b.pdf'), 'filename="a b.pdf"')
  assert.equal(name('Übung.pdf'), `filename="Ubung.pdf"; filename*=utf-8''%C3%9Cbung.pdf`.replace('; f', ';\r\n f'))
  assert.equal(name('"x" .txt'), `filename="_x_ .txt"; filename*=utf-8''%22x%22%20.txt`.replace('; f', ';\r\n f'))
  assert.equal(
    name(`${'счёт'.repeat(4)}.pdf`),
    'filename="________________.pdf";\r\n' +
      " filename*0*=utf-8''%D1%81%D1%87%D1%91%D1%82%D1%81%D1%87%D1%91%D1%82%D1%81;\r\n" +
      ' filename*1*=%D1%87%D1%91%D1%82%D1%81%D1%87%D1%91%D1%82.pdf',
  )
})

test('a content type is checked, and keeps its parameters', () => {
  const type = (contentType: string): string | undefined =>
    /^--=_seed_1\r\nContent-Type: (.*)/m.exec(
      wireText(mimeMessage({ attachments: [attachment({ contentType })] })),
    )?.[1]
  assert.equal(type('text/csv; charset=utf-8;header="a; b"'), 'text/csv; charset=utf-8; header="a; b"')
  assert.equal(type('Image/PNG;'), 'Image/PNG')
  for (const wrong of [
    '',
    'image',
    'image/',
    'a b/c',
    'text/plain; charset',
    'text/plain; x="',
    'multipart/mixed; boundary=x',
  ])
    assert.throws(() => type(wrong), { code: 'content_type_invalid', pointer: '/attachments/0/content_type' }, wrong)
  for (const contentId of ['', '<a>', 'a b', 'ü'])
    assert.throws(
      () => assemble(mimeMessage({ attachments: [attachment({ contentId })] })),
      (error) => error instanceof MimeProblem && error.code === 'content_id_invalid',
    )
})

test('an attached message is not encoded; one that would have to be is a file', () => {
  const eml = (content: string): string =>
    wireText(
      mimeMessage({ attachments: [attachment({ contentType: 'message/rfc822', content: Buffer.from(content) })] }),
    )
  assert.match(
    eml('A: b\n\nc'),
    /Content-Type: message\/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n.*\r\n\r\nA: b\r\n\r\nc\r\n--=/,
  )
  assert.match(eml('A: ü\n\n'), /Content-Type: application\/octet-stream\r\nContent-Transfer-Encoding: base64\r\n/)
})

test('a large attachment comes in blocks, and its size is known before', () => {
  const given = mimeMessage({ text: 't', attachments: [attachment({ content: Buffer.alloc(1_000_000, 7) })] })
  const pieces = [...assemble(given)]
  assert.ok(pieces.length > 20 && pieces.every((piece) => piece.length <= 65_536))
  assert.equal(
    pieces.reduce((sum, piece) => sum + piece.length, 0),
    assembledBytes(given),
  )
})

test('the same message gives the same bytes, as often as they are asked for', () => {
  const given = mimeMessage({ text: 't', html: 'ü', attachments: [file] })
  const assembled = assemble(given)
  assert.deepEqual([...assembled], [...assembled])
  assert.deepEqual([...assembled], [...assemble(given)])
})
