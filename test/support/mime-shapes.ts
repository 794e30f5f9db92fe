/** More than 100 messages of other shapes: for the comparison with nodemailer's, and for the filters of others. */
import type { MimeAddress, MimeAttachment, MimeMessage } from '../../src/standards/mime/mime.ts'
import { attachment, mimeMessage } from './mime.ts'

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
export const mimeShapes: readonly MimeMessage[] = texts.flatMap((text, t) =>
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
