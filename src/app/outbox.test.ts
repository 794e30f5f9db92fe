/** Mail of our own becomes a submission like any other: its flags are those that delivery needs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openRig, smallSpool } from '../../test/support/spool-rig.ts'
import { MemorySubmissions } from '../../test/support/memory-submissions.ts'
import { notice } from '../../test/support/notices.ts'
import { composeNotice } from '../feedback/feedback.ts'
import { MiB } from '../kernel/units.ts'
import { type Failure, failures } from '../model/failures.ts'
import { spoolLimits } from '../spool/spool.ts'
import { openStored } from './messages.ts'
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
      [tenant, returnPath, recipients, mailClass, fromDomain, facts.from, facts.subject],
      [
        'acme',
        '',
        ['ann@example.com'],
        'transactional',
        'mail.example.com',
        'postmaster@mail.example.com',
        'Your message could not be delivered',
      ],
    )
  })

test('a notice with a whole message that is larger than a record of the log is taken in pieces', async () => {
  const config = { ...smallSpool, segmentBytes: 8 * MiB, windowBytes: 1 * MiB }
  const rig = openRig({ config })
  rig.settle()
  const body = Buffer.from('x'.repeat(76).concat('\r\n').repeat(50_000))
  const mail = composeNotice(notice({ returns: 'FULL', original: { body } }))
  assert.ok(mail.content.length > spoolLimits.recordBytesMax.value)
  const settled: (Failure | null)[] = []
  void sendMail(rig.submissions, mail).then((failure) => settled.push(failure))
  for (let i = 0; i < 10 && settled.length === 0; i++) {
    rig.settle()
    await Promise.resolve()
  }
  assert.deepEqual(settled, [null])
  const [row] = [...rig.queue.rows.values()].flat()
  const { submission, message } = await openStored(rig.spool.records, row?.number ?? 0, row?.place ?? 0)
  assert.ok(submission.chunks.length > 10)
  const blocks: Buffer[] = []
  for (let block = await message.read(); block !== null; block = await message.read()) blocks.push(Buffer.from(block))
  assert.ok(Buffer.concat(blocks).includes(mail.content.subarray(-1_000_000)))
})

test('without anybody to take it nothing is lost silently', async () => {
  assert.equal(await sendMail(null, composeNotice(notice())), failures.draining)
})
