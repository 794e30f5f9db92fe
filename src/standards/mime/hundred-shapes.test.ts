/** The same messages by us and by nodemailer: a reader that is neither finds the same in both. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import MailComposer, { type MailComposerOptions } from 'nodemailer/lib/mail-composer'
import type { Attachment, Email } from 'postal-mime'
import { attachment, mimeMessage, readBytes, wireBytes } from '../../../test/support/mime.ts'
import type { MimeAddress, MimeAttachment, MimeMessage } from './mime.ts'

const texts = [
  undefined,
  'Plain text.\nTwo lines.\n',
  'Grüße aus Köln.\n\n-- \nJürgen\n',
  `Привет, это письмо.\n${'Очень длинная строка без конца. '.repeat(8)}\n`,
  `${'A long line that nobody folded. '.repeat(50)}\n\ttab = 1\n.\nFrom here\n`,
]
const htmls = [
  undefined,
  '<p>Plain <img src="cid:logo@example.com"></p>\n',
  '<p style="color:red">Grüße &amp; 你好 😀</p>\n',
  '<p>0 = 1 \n\t<b>trailing space \n',
  `<!doctype html>${'<td>cell</td>'.repeat(200)}\n`,
]
const subjects = [
  'Your receipt',
  'Überraschung für Zoë',
  'ご注文ありがとうございます。配送状況をこちらからご確認いただけますので、よろしくお願いいたします。',
  'A long subject that goes on and on until it does not fit into one line of a header any more, and then some',
]
const names = ['', 'Ann Smith', 'Smith, Ann "Annie"', 'Jürgen Müller', '山田太郎', 'Dr. O’Neill (Sales & Co.)']

const png = (filename: string, id: string): MimeAttachment =>
  attachment({ filename, contentType: 'image/png', content: Buffer.alloc(200, id), contentId: id, inline: true })
const files: readonly (readonly MimeAttachment[])[] = [
  [],
  [png('logo.png', 'logo@example.com')],
  [
    attachment({
      filename: 'Rechnung Müller.pdf',
      contentType: 'application/pdf',
      content: Buffer.alloc(1_000, '%PDF'),
    }),
  ],
  [
    attachment({
      filename: 'photo.jpg',
      contentType: 'image/jpeg',
      content: Buffer.alloc(60_000, 'photo'),
      inline: true,
    }),
    attachment({ filename: '"quoted" \\ 100 %.txt', contentType: 'text/plain', content: Buffer.from('x') }),
  ],
  [
    attachment({ filename: 'data.csv', contentType: 'text/csv; charset=utf-8', content: Buffer.from('a;ü\r\n') }),
    png('ロゴ.png', 'logo@example.com'),
    png('second.png', 'second@example.com'),
    attachment({ filename: `${'very long name '.repeat(7)}.txt`, contentType: 'text/plain', content: Buffer.alloc(0) }),
    attachment({
      filename: 'forwarded.eml',
      contentType: 'message/rfc822',
      content: Buffer.from('From: a@b\r\nSubject: inner\r\n\r\ninner text\r\n'),
    }),
  ],
]

/** Every pairing of text, HTML and files; the rest goes round beside them, in cycles of other lengths. */
const messages = texts.flatMap((text, t) =>
  htmls.flatMap((html, h) =>
    files.map((attachments, f): MimeMessage => {
      const n = t * htmls.length * files.length + h * files.length + f
      const mailbox = (i: number): MimeAddress => ({
        name: names[(n + i) % names.length],
        address: `mailbox${i}@example.com`,
      })
      return mimeMessage({
        from: mailbox(0),
        to: Array.from({ length: 1 + (n % 5) }, (_, i) => mailbox(i + 1)),
        cc: Array.from({ length: n % 3 }, (_, i) => mailbox(i + 7)),
        replyTo: n % 4 === 0 ? [mailbox(9)] : [],
        subject: subjects[n % subjects.length] as string,
        headers: n % 2 === 0 ? [] : [{ name: 'X-Campaign', value: `spring ${'sale '.repeat(20)}2026` }],
        text,
        html,
        amp: n % 11 === 10 ? '<!doctype html><html ⚡4email>' : undefined,
        calendar: n % 7 === 6 ? { method: 'REQUEST', content: 'BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n' } : undefined,
        attachments,
      })
    }),
  ),
)

/** nodemailer's way to say the same. */
function oracle(message: MimeMessage): Promise<Buffer> {
  const { calendar } = message
  const alternative = calendar && {
    contentType: `text/calendar; charset=utf-8; method=${calendar.method}`,
    content: calendar.content,
  }
  const address = ({ name = '', address: spec }: MimeAddress): { name: string; address: string } => ({
    name,
    address: spec,
  })
  const options: MailComposerOptions = {
    from: address(message.from),
    to: message.to.map(address),
    cc: message.cc.map(address),
    replyTo: message.replyTo.map(address),
    subject: message.subject,
    messageId: message.messageId,
    date: new Date(message.dateMs),
    headers: message.headers.map(({ name, value }) => ({ key: name, value })),
    text: message.text,
    html: message.html,
    amp: message.amp,
    ...(alternative && { alternatives: [alternative] }),
    attachments: message.attachments.map(({ filename, contentType, content, contentId, inline }) => ({
      filename,
      contentType,
      content: Buffer.from(content),
      ...(contentId === undefined ? {} : { cid: contentId }),
      contentDisposition: inline ? 'inline' : 'attachment',
    })),
  }
  return new MailComposer(options).compile().build()
}

const part = ({ filename, mimeType, disposition, contentId, related, method, content }: Attachment): unknown => ({
  filename,
  mimeType,
  disposition,
  contentId,
  related,
  method,
  content: Buffer.from(content as ArrayBuffer).toString('base64'),
})

/** The reader ends a text's last line itself, but not one in base64. */
const text = (found: string | undefined): string | undefined => found?.replaceAll('\r\n', '\n').replace(/\n+$/, '')

function understood(email: Email): unknown {
  const { from, to, cc, replyTo, subject, messageId, date } = email
  const fields = email.headers.filter(({ key }) => key === 'x-campaign').map(({ value }) => value)
  const parts = email.attachments.map(part)
  return {
    from,
    to,
    cc,
    replyTo,
    subject,
    messageId,
    date,
    fields,
    text: text(email.text),
    html: text(email.html),
    parts,
  }
}

test(`100 shapes: ${messages.length} messages are understood as nodemailer's are`, async () => {
  for (const message of messages) {
    const [ours, theirs] = [await readBytes(wireBytes(message)), await readBytes(await oracle(message))]
    assert.deepEqual(understood(ours), understood(theirs))
    // And both as they were meant.
    assert.equal(ours.subject, message.subject)
    assert.deepEqual(ours.to, message.to)
    if (message.text !== undefined) assert.equal(text(ours.text), text(message.text))
    if (message.html !== undefined) assert.equal(text(ours.html), text(message.html))
    const named = ours.attachments.flatMap(({ filename }) => filename ?? [])
    assert.deepEqual(named.sort(), message.attachments.map(({ filename }) => filename).sort())
  }
  assert.ok(messages.length >= 100)
})
