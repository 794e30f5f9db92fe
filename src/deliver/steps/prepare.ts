/** Opens the message, and finds out whether this server can take it, before a word is said about it. */
import { invariant, rethrowBug } from '../../kernel/assert.ts'
import { suppressedOutcome } from '../../model/outcome.ts'
import type { PreparedMessage } from '../../ports/messages.ts'
import { MessageDamaged } from '../../ports/messages.ts'
import type { Capabilities } from '../capabilities.ts'
import type { Connection } from '../connection.ts'
import type { Step } from '../dialogue.ts'
import { isSafe } from '../dsn.ts'
import { outcomeOfFault, type Fault } from '../outcome.ts'
import type { Transaction } from '../transaction.ts'

export const prepare: Step = {
  begin(connection) {
    const { transaction } = connection
    if (transaction === null) return
    try {
      const opened = transaction.opening ?? connection.setting.messages.open(transaction.grant)
      if (!(opened instanceof Promise)) return begun(connection, transaction, opened)
      opened.then(
        (message) => isCurrent(connection, transaction) && begun(connection, transaction, message),
        (error: unknown) => isCurrent(connection, transaction) && refuse(connection, transaction, ...unreadable(error)),
      )
    } catch (error) {
      refuse(connection, transaction, ...unreadable(error))
    }
  },
  reply(connection, reply) {
    return connection.failWith('linkLost', `reply ${reply.code} before any command`)
  },
}

/**
 * The same for a transaction that may follow in the write of the one before it: true when its envelope can be sent now. Otherwise it takes the
 * usual way later, by which time a slow disk may have answered.
 */
export function prepareAhead(connection: Connection, transaction: Transaction): boolean {
  try {
    const opened = connection.setting.messages.open(transaction.grant)
    if (opened instanceof Promise) {
      opened.catch(ignoreUntilAsked)
      transaction.opening = opened
      return false
    }
    if (whyNot(connection.capabilities, opened) !== null) return false
    transaction.message = opened
    return someoneIsLeft(connection, transaction, opened)
  } catch (error) {
    rethrowBug(error)
    // The usual way meets the same failure, and knows what to do with it.
    return false
  }
}

const ignoreUntilAsked = (): void => {}

function isCurrent(connection: Connection, transaction: Transaction): boolean {
  return connection.transaction === transaction && connection.state === 'prepare'
}

function begun(connection: Connection, transaction: Transaction, message: PreparedMessage): void {
  invariant(
    message.recipients.length === transaction.outcomes.length,
    'the message is opened for the recipients of its grant',
  )
  transaction.message = message
  const hindrance = whyNot(connection.capabilities, message)
  if (hindrance !== null) refuse(connection, transaction, ...hindrance)
  else connection.enter(someoneIsLeft(connection, transaction, message) ? 'envelope' : 'idle')
}

/** Leaves out whom the tenant's list names by now: mail waits for days, and meanwhile an address may have been found dead. */
function someoneIsLeft({ setting }: Connection, transaction: Transaction, message: PreparedMessage): boolean {
  const { isSuppressed } = setting
  if (isSuppressed === null) return true
  const { recipients, tenant } = message
  for (let i = 0; i < recipients.length; i++)
    if (isSuppressed(tenant, recipients[i] as string)) transaction.leaveOut(i, suppressedOutcome())
  return transaction.pending > 0
}

/** The outcome is certain without asking the server, and the connection is as good as before. */
function refuse(connection: Connection, transaction: Transaction, fault: Fault, detail: string): void {
  transaction.settlePending(
    outcomeOfFault(fault, fault === 'damaged' || fault === 'unreadable' ? 'content' : 'mail', detail),
  )
  connection.enter('idle')
}

export function unreadable(error: unknown): [Fault, string] {
  rethrowBug(error)
  const detail = error instanceof Error ? error.message : String(error)
  return [error instanceof MessageDamaged ? 'damaged' : 'unreadable', detail]
}

function whyNot(capabilities: Capabilities, message: PreparedMessage): [Fault, string] | null {
  const { sizeBytes, eightBit, smtpUtf8 } = message
  // RFC 1870 §6.1 lets the client decide from the offered limit.
  if (sizeBytes > capabilities.sizeMax) return ['tooBig', `${sizeBytes} bytes, at most ${capabilities.sizeMax}`]
  if (smtpUtf8 && !capabilities.smtpUtf8) return ['utf8NotOffered', ''] // RFC 6531 §3.2
  if (eightBit && !capabilities.eightBitMime) return ['eightBitNotOffered', ''] // RFC 6152 §3
  // Intake has checked every address. A line break that came this far would be a command of its own, so it is looked for again.
  const unsafe = smtpUtf8 ? controlCharacter : notPrintableAscii
  if (unsafe.test(message.returnPath)) return ['addressUnsafe', 'the return path']
  for (const recipient of message.recipients) if (unsafe.test(recipient)) return ['addressUnsafe', 'a recipient']
  if (message.dsn !== null && !isSafe(message.dsn)) return ['addressUnsafe', 'ENVID or ORCPT']
  return null
}

// oxlint-disable-next-line no-control-regex
const controlCharacter = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/
const notPrintableAscii = /[^\x20-\x7e]/
