/** DATA (RFC 5321 §4.1.1.4) and BDAT (RFC 3030): where content begins. The spool's transaction opens here, and not before. */
import { failures } from '../../../model/failures.ts'
import { parseBdat } from '../../../standards/smtp-command.ts'
import { chunksPerMessageMax, oversizeFactorMax } from '../limits.ts'
import type { Session } from '../session.ts'

export function data(session: Session, args: string): void {
  const { message } = session
  if (args !== '') return session.bad('501 5.5.4 DATA takes no argument')
  if (message === null) return session.bad('503 5.5.1 send MAIL first')
  if (message.begun) return session.bad('503 5.5.1 the content has begun with BDAT') // RFC 3030 §2
  if (message.recipients.length === 0) return session.bad('554 5.5.1 no valid recipients')
  const failure = message.begin(session.server.submissions, true, session.handover)
  if (failure === null) return session.receiving.startData()
  session.refuse(failure, 'content')
  session.reset()
}

/**
 * The octets follow whatever we think of the command, so a refused chunk is read all the same. Only where its size cannot be known
 * is there nothing to skip.
 */
export function bdat(session: Session, args: string): void {
  const { chunkBytes, last, problem } = parseBdat(args)
  const { messageBytesMax } = session.server.config
  if (chunkBytes > oversizeFactorMax.value * messageBytesMax)
    return session.end(failures.messageTooBig(messageBytesMax), 'content')
  const kept = problem === null ? accepted(session) : malformed(session, `${problem.smtp} ${problem.problem}`)
  if (chunkBytes >= 0) session.receiving.startChunk(chunkBytes, last, kept)
}

/** RFC 3030 §2: after an error the message is lost, and what follows of it is refused. */
function malformed(session: Session, reply: string): false {
  session.bad(reply)
  session.reset()
  return false
}

/** Whether the chunk is part of a message. If not, the reply has been given. */
function accepted(session: Session): boolean {
  const { message } = session
  if (message === null) session.bad('503 5.5.1 send MAIL first')
  else if (message.recipients.length === 0) session.bad('554 5.5.1 no valid recipients')
  else if (++message.chunks > chunksPerMessageMax.value) session.end(failures.tooManyChunks, 'content')
  else {
    const failure = message.begun ? null : message.begin(session.server.submissions, false, session.handover)
    if (failure === null) return true
    session.refuse(failure, 'content')
    session.reset()
  }
  return false
}
