/** Port `outbox` on an intake log: a transaction like any other. */
import { type Failure, failures } from '../model/failures.ts'
import { noFacts, type SubmissionHead } from '../model/submission.ts'
import type { OutgoingMail } from '../ports/outbox.ts'
import { isFailure, type Submissions } from '../ports/submissions.ts'

/** Settles when it is on disk (null), or with the reason that nothing was taken. */
export function sendMail(submissions: Submissions | null, mail: OutgoingMail): Promise<Failure | null> {
  const transaction = submissions?.begin(mail.content.length, mail.tenant, mail.id) ?? failures.draining
  if (isFailure(transaction)) return Promise.resolve(transaction)
  const { content } = mail
  transaction.append(content, 0, content.length)
  return new Promise((settle) => transaction.commit(headOf(mail), settle))
}

function headOf(mail: OutgoingMail): SubmissionHead {
  const { tenant, mailClass, returnPath, recipients, fromDomain, subject, content, smtpUtf8, eightBit } = mail
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
    facts: { ...noFacts, from: returnPath, subject },
  }
}

const dot = 0x2e
