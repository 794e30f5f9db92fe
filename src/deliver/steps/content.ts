/**
 * Content and its end (RFC 5321 §4.1.1.4). From the moment that the terminating ".CRLF" is handed over the receiver may have the
 * message, which is why `final` is a state of its own. Before it, a lost connection is a message not sent.
 */
import type { Connection } from '../connection.ts'
import type { Step } from '../dialogue.ts'
import type { PreparedMessage } from '../../ports/messages.ts'
import { writeBytesMax } from '../limits.ts'
import { outcomeOfFault, outcomeOfReply } from '../outcome.ts'
import { ContentFlow, type Transaction } from '../transaction.ts'
import { sendEnvelope } from './envelope.ts'
import { prepareAhead, unreadable } from './prepare.ts'

const terminator = Buffer.from('.\r\n', 'latin1')

export const content: Step = {
  begin(connection) {
    const { transaction } = connection
    if (transaction === null) return
    transaction.flow = new ContentFlow()
    pump(connection, transaction)
  },

  /** The server speaks before the end of the content: it has had enough. Its word decides, and the terminator is never sent. */
  reply(connection, reply) {
    return connection.fail(outcomeOfReply('content', reply))
  },

  drained(connection) {
    const { transaction } = connection
    if (transaction === null) return
    connection.progressed()
    pump(connection, transaction)
  },
}

export const final: Step = {
  begin() {},
  reply(connection, reply) {
    const { transaction } = connection
    if (transaction === null) return null
    if (reply.digit === 3) return connection.failWith('finalReplyLost', `unexpected reply ${reply.code}`)
    const outcome = outcomeOfReply('final', reply)
    // A server that answers before it has read everything must not be sent what the memory holds next.
    if (connection.flushed) transaction.message?.release()
    if (reply.code === 421) return connection.fail(outcome)
    transaction.settlePending(outcome)
    return connection.aheadSent ? 'ahead' : 'idle'
  },
}

/** 354 although no recipient was accepted: the content is nothing, and its outcome nobody's. */
export const voidContent: Step = {
  begin(connection) {
    connection.write(terminator)
  },
  reply: () => 'reset',
}

/** Writes until the socket or the spool asks to wait. What fits into one call of the system leaves in one. */
function pump(connection: Connection, transaction: Transaction): void {
  const flow = transaction.flow
  if (flow === null || flow.reading) return
  connection.cork()
  while (connection.state === 'content' && connection.transaction === transaction) {
    if (flow.exhausted) {
      if (!readNext(connection, transaction, flow)) break
    } else if (!connection.write(flow.nextPart(writeBytesMax.value))) break
  }
  connection.uncork()
}

/** Reads the next block, or ends the content after the last. False when it has to be waited for. */
function readNext(connection: Connection, transaction: Transaction, flow: ContentFlow): boolean {
  try {
    const block = connection.message.read()
    if (!(block instanceof Promise)) return take(connection, flow, block)
    flow.reading = true
    block.then(
      (bytes) => resume(connection, transaction, flow, bytes),
      (error: unknown) => stillSending(connection, transaction) && damaged(connection, error),
    )
  } catch (error) {
    damaged(connection, error)
  }
  return false
}

function resume(connection: Connection, transaction: Transaction, flow: ContentFlow, block: Buffer | null): void {
  if (!stillSending(connection, transaction)) return
  flow.reading = false
  if (take(connection, flow, block)) pump(connection, transaction)
}

function stillSending(connection: Connection, transaction: Transaction): boolean {
  return connection.state === 'content' && connection.transaction === transaction
}

function take(connection: Connection, flow: ContentFlow, block: Buffer | null): boolean {
  if (block !== null) {
    flow.add(block)
    return true
  }
  // Without it the terminator would be text inside the last line, and the next envelope part of this message.
  if (!flow.endsLine) {
    damaged(connection, new Error('the content does not end with a line end'))
    return false
  }
  connection.write(terminator)
  followUp(connection)
  connection.enter('final')
  return false
}

/** RFC 2920 §3.1: content may be the first of a group, so the next envelope rides along and saves a round trip and two calls of the system. */
function followUp(connection: Connection): void {
  const next = connection.lookAhead()
  if (next === null || !prepareAhead(connection, next)) return
  connection.wentAhead()
  sendEnvelope(connection, next, next.message as PreparedMessage)
}

/** The receiver must not see a terminator now: a message cut short would count as whole. */
function damaged(connection: Connection, error: unknown): void {
  const [fault, detail] = unreadable(error)
  connection.fail(outcomeOfFault(fault, 'content', detail))
}
