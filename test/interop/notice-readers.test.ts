/** Notices before readers of others: each finds the right recipients, statuses and actions. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { composeNotice, type Notice } from '../../src/feedback/feedback.ts'
import { asciiNotices, internationalNotices } from '../support/notice-shapes.ts'
import { readByBounceParser, readByPython } from './support/notice-readers.ts'

/** Each is a process of its own. */
const readAtOnce = 4
const all = [...asciiNotices, ...internationalNotices]

async function ofEach(
  notices: readonly Notice[],
  read: (notice: Notice, content: Buffer) => Promise<void>,
): Promise<void> {
  const left = notices.values()
  await Promise.all(
    Array.from({ length: readAtOnce }, async () => {
      for (const notice of left) await read(notice, composeNotice(notice).content)
    }),
  )
}

const statusOf = ({ outcome }: Notice['recipients'][number]): string => outcome.enhanced

test(`Python's email package finds recipient, action and status in ${all.length} notices, and no defect`, async () => {
  await ofEach(all, async (notice, content) => {
    const read = await readByPython(content)
    const international = internationalNotices.includes(notice)
    const report = international ? 'global-delivery-status' : 'delivery-status'
    assert.deepEqual([read.type, read.reportType, read.defects], ['multipart/report', report, []])
    assert.deepEqual(read.parts.slice(0, 2), ['text/plain', `message/${report}`])
    assert.equal(read.answers, notice.original.header === null ? null : '<20261122.1200.7@example.com>')
    assert.deepEqual(
      read.recipients.map((block) => [block['final-recipient'], block['action'], block['status']]),
      notice.recipients.map((recipient) => [
        `${international ? 'utf-8' : 'rfc822'}; ${recipient.address}`,
        notice.kind,
        statusOf(recipient),
      ]),
    )
  })
})

const original = /^rfc822;(.*)\+2B(.*)$/
/** std_reason of the module, by the class of the status that it knows. */
const reasons: ReadonlyMap<string, string> = new Map([
  ['5.1.1', 'user_unknown'],
  ['5.2.2', 'over_quota'],
])

test(`BounceParser finds recipient, action and status in ${asciiNotices.length} notices, and takes only failures for bounces`, async () => {
  await ofEach(asciiNotices, async (notice, content) => {
    const read = await readByBounceParser(content)
    assert.equal(read.isBounce, notice.kind === 'failed')
    assert.equal(read.messageId, notice.original.header === null ? '' : '<20261122.1200.7@example.com>')
    const told = notice.kind === 'failed' ? notice.recipients : []
    assert.deepEqual(
      read.reports.map(({ email, action, status, reason }) => [email, action, status, reason]),
      told.map((recipient) => [
        original.test(recipient.originalRecipient)
          ? recipient.originalRecipient.replace(original, '$1+$2')
          : recipient.address,
        'failed',
        statusOf(recipient),
        reasons.get(statusOf(recipient)) ?? 'unknown',
      ]),
    )
  })
})

test('a report that was broken is seen', async () => {
  const { content } = composeNotice(asciiNotices[0] as Notice)
  const text = content.toString()
  const withoutEnd = await readByPython(Buffer.from(text.replace(/--\r\n$/, '\r\n')))
  assert.notDeepEqual(withoutEnd.defects, [])
  const otherStatus = await readByBounceParser(Buffer.from(text.replace('Status: 5.1.1', 'Status: 5.2.2')))
  assert.equal(otherStatus.reports[0]?.status, '5.2.2')
})
