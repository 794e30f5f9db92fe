/** Port `outbox` on an intake log: a transaction like any other. */
import { KiB } from '../kernel/units.ts'
import { type Failure, failures } from '../model/failures.ts'
import { noFacts, type SubmissionHead } from '../model/submission.ts'
import type { OutgoingMail } from '../ports/outbox.ts'
import { isFailure, type Submissions, type Transaction } from '../ports/submissions.ts'

/** Settles when it is on disk (null), or with the reason that nothing was taken. */
export function sendMail(submissions: Submissions | null, mail: OutgoingMail): Promise<Failure | null> {
  const transaction = submissions?.begin(mail.content.length, mail.tenant, mail.id) ?? failures.draining
  if (isFailure(transaction)) return Promise.resolve(transaction)
  return new Promise((settle) => handOver(transaction, mail, 0, settle))
}

/** As much at a time as a socket gives: a piece is one record of the log, and these have a bound. */
const pieceBytes = 64 * KiB

function handOver(transaction: Transaction, mail: OutgoingMail, from: number, settle: Settle): void {
  const { content } = mail
  for (let at = from; at < content.length; ) {
    const end = Math.min(content.length, at + pieceBytes)
    const goesOn = transaction.append(content, at, end)
    at = end
    if (goesOn || at === content.length) continue
    transaction.onDrain = () => handOver(transaction, mail, at, settle)
    return
  }
  transaction.onDrain = null
  transaction.commit(headOf(mail), settle)
}

type Settle = (failure: Failure | null) => void

function headOf(mail: OutgoingMail): SubmissionHead {
  const { tenant, mailClass, returnPath, recipients, from, fromDomain, subject, content, smtpUtf8, eightBit } = mail
  return {
    tenant,
    returnPath,
    recipients,
    mailClass,
    addedHeaders: '',
    fromDomain,
    client: 'posthaste',
    eightBit: smtpUtf8 || eightBit === true,
    smtpUtf8,
    dotLines: content[0] === dot || content.includes('\n.'),
    expiresAtMs: 0,
    cuts: [],
    facts: { ...noFacts, from, subject },
  }
}

const dot = 0x2e
