/** The same messages by us and by nodemailer: a reader that is neither finds the same in both. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import MailComposer, { type MailComposerOptions } from 'nodemailer/lib/mail-composer'
import type { Attachment, Email } from 'postal-mime'
import { readBytes, wireBytes } from '../../../test/support/mime.ts'
import { mimeShapes } from '../../../test/support/mime-shapes.ts'
import type { MimeAddress, MimeMessage } from './mime.ts'

function short(body: MimeMessage['text']): string | undefined {
  assert.ok(body === undefined || typeof body === 'string')
  return body
}

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
    text: short(message.text),
    html: short(message.html),
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

test(`100 shapes: ${mimeShapes.length} messages are understood as nodemailer's are`, async () => {
  for (const message of mimeShapes) {
    const [ours, theirs] = [await readBytes(wireBytes(message)), await readBytes(await oracle(message))]
    assert.deepEqual(understood(ours), understood(theirs))
    // And both as they were meant.
    assert.equal(ours.subject, message.subject)
    assert.deepEqual(ours.to, message.to)
    if (message.text !== undefined) assert.equal(text(ours.text), text(short(message.text)))
    if (message.html !== undefined) assert.equal(text(ours.html), text(short(message.html)))
    const named = ours.attachments.flatMap(({ filename }) => filename ?? [])
    assert.deepEqual(named.sort(), message.attachments.map(({ filename }) => filename).sort())
  }
  assert.ok(mimeShapes.length >= 100)
})
