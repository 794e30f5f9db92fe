/** Messages for tests of MIME assembly, and how a reader that is not ours understands them. */
import PostalMime, { type Email } from 'postal-mime'
import { assemble, type MimeAttachment, type MimeMessage } from '../../src/standards/mime/mime.ts'

const plain: MimeMessage = {
  from: { address: 'ann@example.com' },
  replyTo: [],
  to: [{ address: 'bob@example.net' }],
  cc: [],
  subject: 'Hello',
  headers: [],
  attachments: [],
  dateMs: Date.UTC(2026, 10, 22, 11, 0, 0),
  messageId: '<1@example.com>',
  boundarySeed: 'seed',
}

export const mimeMessage = (given: Partial<MimeMessage> = {}): MimeMessage => ({ ...plain, ...given })

export const attachment = (given: Partial<MimeAttachment> = {}): MimeAttachment => ({
  filename: 'a.bin',
  contentType: 'application/octet-stream',
  content: Buffer.from('content'),
  inline: false,
  ...given,
})

export const wireBytes = (message: MimeMessage): Buffer => Buffer.concat([...assemble(message)])

export const wireText = (message: MimeMessage): string => wireBytes(message).toString()

/** A field with its continuation lines, as it stands on the wire; undefined when it is not there. */
export function wireField(message: MimeMessage, name: string): string | undefined {
  const { headerText } = assemble(message)
  return headerText.split(/\r\n(?![ \t])/).find((field) => field.toLowerCase().startsWith(`${name.toLowerCase()}:`))
}

export const read = (message: MimeMessage): Promise<Email> => readBytes(wireBytes(message))

export const readBytes = (bytes: Uint8Array): Promise<Email> =>
  PostalMime.parse(bytes, { forceRfc822Attachments: true })
