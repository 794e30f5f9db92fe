/** Mail of our own becomes a submission like any other: its flags are those that delivery needs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemorySubmissions } from '../../test/support/memory-submissions.ts'
import { notice } from '../../test/support/notices.ts'
import { composeNotice } from '../feedback/feedback.ts'
import { failures } from '../model/failures.ts'
import { sendMail } from './outbox.ts'

const bodies: readonly (readonly [body: string, eightBit: boolean, dotLines: boolean])[] = [
  ['Hello\r\n', false, false],
  ['Grüße\r\n', true, false],
  ['Hello\r\n.\r\nmore\r\n', false, true],
]
for (const [body, eightBit, dotLines] of bodies)
  test(`a notice with ${JSON.stringify(body)} says what it needs of a receiver`, async () => {
    const submissions = new MemorySubmissions()
    const mail = composeNotice(notice({ returns: 'FULL', original: { body: Buffer.from(body) } }))
    assert.equal(await sendMail(submissions, mail), null)
    const [submission] = submissions.committed
    assert.deepEqual(submission?.content, mail.content)
    const { tenant, returnPath, recipients, mailClass, fromDomain, facts, ...head } = submission.head
    assert.deepEqual([head.eightBit, head.smtpUtf8, head.dotLines], [eightBit, false, dotLines])
    assert.deepEqual(
      [tenant, returnPath, recipients, mailClass, fromDomain, facts.subject],
      ['acme', '', ['ann@example.com'], 'transactional', 'mail.example.com', 'Your message could not be delivered'],
    )
  })

test('without anybody to take it nothing is lost silently', async () => {
  assert.equal(await sendMail(null, composeNotice(notice())), failures.draining)
})
