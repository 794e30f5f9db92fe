/** MAIL and RCPT (RFC 5321 §4.1.1.2, §4.1.1.3): who sends, and to whom. Only clients that are known may; there is no open relay. */
import { failures } from '../../../model/failures.ts'
import { type DsnRecipient, notifyOn } from '../../../model/submission.ts'
import type { Client } from '../../../ports/clients.ts'
import { isAsciiAddress } from '../../../standards/address.ts'
import { parseMail, parseRcpt, type RcptCommand } from '../../../standards/smtp-command.ts'
import { IncomingMessage, nothingAsked } from '../message.ts'
import type { Session } from '../session.ts'

export function mail(session: Session, args: string): void {
  const { clients, config, memory } = session.server
  if (session.hello === '') return session.bad('503 5.5.1 send EHLO first')
  if (session.message !== null) return session.bad('503 5.5.1 a message is already open')
  if (!isKnown(session)) return
  if (session.client !== null && !clients.isCurrent(session.client))
    return session.end(failures.authenticationRevoked, 'mail')
  const command = parseMail(args)
  if (command.problem !== null) {
    if (command.smtp.endsWith('5.1.7')) session.refuseAs('address', `${command.smtp} ${command.problem}`, 'mail')
    else session.bad(`${command.smtp} ${command.problem}`)
    return
  }
  const { mailbox, sizeBytes, smtpUtf8 } = command
  if (mailbox !== null && !mailbox.ascii && !smtpUtf8) return session.refuse(failures.smtpUtf8Needed, 'mail')
  if (mailbox?.literal === true) return session.refuse(failures.addressLiteral, 'mail') // no notice could ever reach it
  if (sizeBytes > config.messageBytesMax) return session.refuse(failures.messageTooBig(config.messageBytesMax), 'mail') // RFC 1870 §6.1
  const sender = mailbox?.address ?? ''
  const client = session.authenticated ? session.client : clients.bySource(session.peer.address, sender)
  if (client === null) return session.refuse(failures.senderOfNobody, 'mail')
  if (!clients.maySendAs(client, sender)) return session.refuse(failures.senderNotAllowed, 'mail')
  session.client = client
  session.message = new IncomingMessage(command, config.messageBytesMax, memory)
  session.reply('250 2.1.0 sender ok')
}

export function rcpt(session: Session, args: string): void {
  const { config, hostname, quotas } = session.server
  if (!isKnown(session)) return
  const message = session.message
  if (message === null) return session.bad('503 5.5.1 send MAIL first')
  if (message.begun) return session.bad('503 5.5.1 the content has begun')
  const command = parseRcpt(args)
  if (command.problem !== null) {
    if (command.smtp.endsWith('5.1.3')) session.refuseAs('address', `${command.smtp} ${command.problem}`, 'rcpt')
    else session.bad(`${command.smtp} ${command.problem}`)
    return
  }
  const { mailbox } = command
  if (!message.smtpUtf8 && !isAscii(command)) return session.refuse(failures.smtpUtf8Needed, 'rcpt')
  if (mailbox?.literal === true) return session.refuse(failures.addressLiteral, 'rcpt')
  if (message.recipients.length >= config.recipientsMax) return session.refuse(failures.tooManyRecipients, 'rcpt')
  const refusal = quotas.check(session.client as Client, message.recipients.length + 1)
  if (refusal !== null) return session.refuse(refusal.failure, 'rcpt')
  const address = mailbox?.address ?? `postmaster@${hostname}`
  const taken = message.addRecipient(address, askedBy(command))
  if (taken) session.reply('250 2.1.5 recipient ok')
  else session.refuse(failures.intakeBusy, 'rcpt')
}

/** RFC 6531 §3.4 for the address, RFC 6533 §3 for ORCPT. */
function isAscii({ mailbox, originalRecipient }: RcptCommand): boolean {
  return mailbox?.ascii !== false && isAsciiAddress(originalRecipient)
}

function askedBy({ notify, originalRecipient }: RcptCommand): DsnRecipient {
  if (notify.length === 0 && originalRecipient === '') return nothingAsked
  return { notify: notify.reduce((sum, word) => sum + bitOf[word], 0), originalRecipient }
}

const bitOf = {
  SUCCESS: notifyOn.success,
  FAILURE: notifyOn.failure,
  DELAY: notifyOn.delay,
  NEVER: notifyOn.never,
} as const

/** False: a stranger, refused and told how to become known, where there is a way (RFC 4954 §6). */
function isKnown(session: Session): boolean {
  if (session.client !== null || session.server.clients.knowsNetwork(session.peer.address)) return true
  // Each refusal is a line in the log, so nobody is refused for ever.
  if (session.bears())
    session.refuse(session.authAvailable ? failures.authenticationRequired : failures.relayDenied, 'mail')
  return false
}
