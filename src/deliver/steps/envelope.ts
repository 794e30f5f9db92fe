/**
 * The envelope: MAIL, one RCPT per recipient, DATA (RFC 5321 §3.3). With PIPELINING (RFC 2920) they leave in one write and the replies
 * come back in the same order; without it each waits for the reply before. Content follows only when all replies were judged,
 * so nothing is ever sent to a server that took no recipient.
 */
import type { Connection } from '../connection.ts'
import type { State, Step } from '../dialogue.ts'
import { mailParameters, rcptParameters } from '../dsn.ts'
import type { Outcome } from '../../model/outcome.ts'
import { outcomeOfReply } from '../outcome.ts'
import type { PreparedMessage } from '../../ports/messages.ts'
import type { Reply } from '../../standards/smtp-reply.ts'
import type { Transaction } from '../transaction.ts'

export const envelope: Step = {
  begin(connection) {
    if (connection.transaction !== null) sendEnvelope(connection, connection.transaction, connection.message)
  },

  reply(connection, reply) {
    const { transaction } = connection
    if (transaction === null) return null
    const rcpt = connection.replies++ - 1
    const { namedCount } = transaction
    if (rcpt === namedCount) return judgeData(connection, transaction, reply)
    const next =
      rcpt === -1
        ? judgeMail(connection, transaction, reply)
        : judgeRcpt(connection, transaction, reply, transaction.named(rcpt))
    // What is waited for now, should it never come.
    connection.stage = rcpt + 1 < namedCount ? 'rcpt' : 'data'
    return next
  },
}

/** The same for an envelope that left behind the content before it: there is nothing more to say until it is answered. */
export const ahead: Step = { begin() {}, reply: (connection, reply) => envelope.reply(connection, reply) }

export function sendEnvelope(connection: Connection, transaction: Transaction, message: PreparedMessage): void {
  transaction.dsnPassedOn = message.dsn !== null && connection.capabilities.dsn
  let group = mailCommand(connection, transaction, message)
  if (connection.capabilities.pipelining) {
    for (let i = 0; i < transaction.namedCount; i++) group += rcptCommand(transaction, message, transaction.named(i))
    group += 'DATA\r\n'
  }
  send(connection, message, group)
}

function judgeMail(connection: Connection, transaction: Transaction, reply: Reply): State | null {
  if (reply.digit !== 2) {
    const outcome = outcomeOfReply('mail', reply)
    if (reply.digit === 3) return connection.fail(outcome)
    if (reply.code === 421) {
      // "Timeout exceeded", said while our command was on its way: the same as finding the idle connection closed.
      transaction.worthRetrying = transaction.reused && outcome.enhanced === '4.4.2'
      return connection.fail(outcome)
    }
    if (mayBeDsn(transaction, outcome)) return beginAnew(connection, transaction, 'dsnRefused', outcome)
    if (mayBeLying(connection, reply)) return beginAnew(connection, transaction, 'lying', outcome)
    // Refused without extensions, too: it was no lie. The next message, which may need them, gets a connection that has them.
    believeAgain(connection, transaction, 'lying')
    believeAgain(connection, transaction, 'dsnRefused')
    transaction.settlePending(outcome)
  }
  return sendNext(connection, transaction)
}

function judgeRcpt(connection: Connection, transaction: Transaction, reply: Reply, recipient: number): State | null {
  if (reply.digit !== 2) {
    const othersAccepted = transaction.pending > 0 && acceptedBefore(transaction, recipient)
    const outcome = outcomeOfReply('rcpt', reply, othersAccepted)
    if (reply.digit === 3 || reply.code === 421) return connection.fail(outcome)
    if (mayBeDsn(transaction, outcome)) return beginAnew(connection, transaction, 'dsnRefused', outcome)
    if (isSyntax(outcome)) believeAgain(connection, transaction, 'dsnRefused')
    transaction.settle(recipient, outcome)
  }
  return sendNext(connection, transaction)
}

function judgeData(connection: Connection, transaction: Transaction, reply: Reply): State | null {
  transaction.envelopeMs = connection.elapsedMs(transaction)
  const nobodyLeft = transaction.pending === 0
  if (reply.code === 354) return nobodyLeft ? 'void' : 'content'
  const outcome = outcomeOfReply('data', reply)
  // A 250 here leaves open whether the next line is content or a command, and whose reply it is: this conversation is over.
  if (reply.digit < 4) transaction.unsettle()
  if (reply.digit < 4 || reply.code === 421) return connection.fail(outcome)
  transaction.settlePending(outcome)
  return 'reset'
}

/** Without PIPELINING: the next command of the group, or the end of the envelope when nobody is left to send to. */
function sendNext(connection: Connection, transaction: Transaction): State | null {
  if (connection.capabilities.pipelining) return null
  const { message } = connection
  const mailRefused = connection.replies === 1 && transaction.pending === 0
  const recipient = transaction.named(connection.replies - 1)
  if (recipient !== -1 && !mailRefused) send(connection, message, rcptCommand(transaction, message, recipient))
  else if (transaction.pending > 0) send(connection, message, 'DATA\r\n')
  else return 'reset'
  return null
}

/** Some servers offer what they then refuse: their extensions are forgotten for a while, and the transaction begun anew, once. */
function mayBeLying(connection: Connection, reply: Reply): boolean {
  const { capabilities, message, transaction } = connection
  const { pipelining, size, eightBitMime, smtpUtf8 } = capabilities
  const syntaxRefused = isSyntaxCode(reply.code)
  // A message that cannot do without them has nothing to gain.
  if (!syntaxRefused || message.eightBit || message.smtpUtf8) return false
  return (pipelining || size || eightBitMime || smtpUtf8) && transaction?.retried === false
}

/** The same with DSN alone, which is rarely used and so rarely tested, and which any message can do without. */
function mayBeDsn(transaction: Transaction, outcome: Outcome): boolean {
  return transaction.dsnPassedOn && !transaction.retried && transaction.pending > 0 && isSyntax(outcome)
}

/** Of the command itself, not of the address in it (RFC 3463 §3.6). */
function isSyntax({ code, enhanced }: Outcome): boolean {
  return isSyntaxCode(code) && enhanced.startsWith('5.5.')
}

function isSyntaxCode(code: number): boolean {
  return (code >= 500 && code <= 504) || code === 555
}

/** What of a host's offers is not believed for a while. */
type Suspicion = 'lying' | 'dsnRefused'

/** On a new connection, once, without what the host is suspected of. */
function beginAnew(connection: Connection, transaction: Transaction, suspicion: Suspicion, outcome: Outcome): null {
  connection.setting.hosts[suspicion].set(connection.hostKey, true)
  transaction.worthRetrying = true
  return connection.fail(outcome)
}

function believeAgain(connection: Connection, transaction: Transaction, suspicion: Suspicion): void {
  const { setting, hostKey } = connection
  if (transaction.retried && setting.hosts[suspicion].delete(hostKey)) connection.retire()
}

function acceptedBefore(transaction: Transaction, recipient: number): boolean {
  for (let i = 0; i < recipient; i++) if (transaction.outcomes[i] === null) return true
  return false
}

function mailCommand({ capabilities }: Connection, transaction: Transaction, message: PreparedMessage): string {
  let command = `MAIL FROM:<${message.returnPath}>`
  if (capabilities.size) command += ` SIZE=${message.sizeBytes}` // RFC 1870 §6.1
  if (message.eightBit) command += ' BODY=8BITMIME' // RFC 6152 §3
  if (message.smtpUtf8) command += ' SMTPUTF8' // RFC 6531 §3.4
  if (transaction.dsnPassedOn) command += mailParameters(message)
  return `${command}\r\n`
}

function rcptCommand({ dsnPassedOn }: Transaction, message: PreparedMessage, recipient: number): string {
  const parameters = dsnPassedOn ? rcptParameters(message, recipient) : ''
  return `RCPT TO:<${message.recipients[recipient]}>${parameters}\r\n`
}

function send(connection: Connection, message: PreparedMessage, commands: string): void {
  connection.send(commands, message.smtpUtf8 ? 'utf8' : 'latin1')
}
