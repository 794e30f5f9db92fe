/** The mail with the link that proves an address. Whoever reads it did not ask for it, perhaps: it says who did, and that nothing need be done. */
import { formatDuration } from '../kernel/units.ts'
import { type OutgoingMail, systemTenant } from '../ports/outbox.ts'
import { assemble } from '../standards/mime/mime.ts'

export interface VerificationMail {
  /** The address to be proven. */
  readonly to: string
  /** Who wants to send as it. */
  readonly tenantName: string
  readonly link: string
  readonly linkMs: number
  readonly hostname: string
  readonly nowMs: number
  /** Makes the Message-ID; a UUID. */
  readonly id: string
  /** As MimeMessage has it. */
  readonly boundarySeed: string
}

export function verificationMail(mail: VerificationMail): OutgoingMail {
  const { to, tenantName, link, linkMs, hostname, nowMs } = mail
  const subject = `May ${tenantName} send mail as ${to}?`
  const text = `Hello,

somebody at ${tenantName}, who sends mail through ${hostname}, would like to
send mail with this address as its sender:

    ${to}

If that is what you want, open this page and press the button there:

${link}

The link works once, and for ${formatDuration(linkMs)}.

If you do not know ${tenantName}, do nothing: without your consent no mail is
sent with your address.
`
  const postmaster = `postmaster@${hostname}`
  const message = assemble({
    from: { name: 'Posthaste', address: postmaster },
    to: [{ address: to }],
    cc: [],
    replyTo: [],
    subject,
    text,
    // RFC 3834 §5: no vacation notice comes back.
    headers: [{ name: 'Auto-Submitted', value: 'auto-generated' }],
    attachments: [],
    dateMs: nowMs,
    messageId: `<${mail.id}@${hostname}>`,
    boundarySeed: mail.boundarySeed,
  })
  return {
    tenant: systemTenant,
    mailClass: 'transactional',
    // RFC 5321 §4.5.5: the null sender is for notices about mail.
    returnPath: postmaster,
    recipients: [to],
    from: postmaster,
    fromDomain: hostname.toLowerCase(),
    subject,
    content: Buffer.concat([...message]),
    smtpUtf8: message.needsSmtpUtf8,
  }
}
