/** Bounds of notices at their edge: one below, at it, one above. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noticeRecipient, noticesPolicy, sendAndRead } from '../../test/support/notices.ts'
import { hourMs } from '../kernel/units.ts'
import { NoticeBudget, returnsWhole } from './feedback.ts'
import { headerBytesMax, pathsCountedMax, recipientsToldMax } from './limits.ts'

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]

test('limit notice.recipients-told: people read so many, and how many more there are; programs read all', async () => {
  for (const count of around(recipientsToldMax.value)) {
    const recipients = Array.from({ length: count }, (_, n) => noticeRecipient({ address: `r${n}@example.net` }))
    const { text, blocks } = await sendAndRead({ recipients })
    assert.equal(text.match(/^r\d+@example\.net$/gm)?.length, Math.min(count, recipientsToldMax.value))
    assert.equal(/And 1 more: /.test(text), count > recipientsToldMax.value)
    assert.equal(blocks.length, 1 + count)
  }
})

test('limit notice.header: a longer one is cut at the end of a line', async () => {
  const line = `X-Filler: ${'x'.repeat(52)}\r\n`
  for (const bytes of around(headerBytesMax.value)) {
    const lines = line.repeat(headerBytesMax.value / line.length - 1)
    const header = `${lines}X-Last: ${'y'.repeat(bytes - lines.length - 10)}\r\n`
    assert.equal(header.length, bytes)
    const { original } = await sendAndRead({ original: { header: Buffer.from(header) } })
    const whole = bytes <= headerBytesMax.value
    assert.equal(original.trimEnd(), (whole ? header : lines).replaceAll('\r\n', '\n').trimEnd())
  }
})

test('limit notice.paths-counted: beyond it the path that was asked for longest ago is forgotten', () => {
  const budget = new NoticeBudget(1)
  const take = (n: number): boolean => budget.take(`a${n}@example.com`, 0)
  for (let n = 1; n < pathsCountedMax.value; n++) assert.ok(take(n))
  assert.ok(take(pathsCountedMax.value))
  // All are known still; this one was asked for last now.
  assert.equal(take(1), false)
  assert.ok(take(pathsCountedMax.value + 1))
  assert.equal(take(1), false)
  assert.ok(take(2))
})

test('limit notices.per_hour: so many to one return path, then none for the rest of the hour', () => {
  const most = noticesPolicy.perHourMax
  const budget = new NoticeBudget(most)
  const start = 1_800_000_000_000
  for (let n = 1; n <= most + 1; n++) assert.equal(budget.take('ann@example.com', start + n), n <= most)
  assert.equal(budget.take('ANN@Example.com', start + hourMs), false)
  assert.ok(budget.take('ben@example.com', start))
  assert.ok(budget.take('ann@example.com', start + hourMs + 1))
  // A clock that was wrong, and was set right.
  for (let n = 0; n < most; n++) budget.take('eve@example.com', start + 100 * hourMs)
  assert.ok(budget.take('eve@example.com', start))
})

test('limit notices.return_full_max: a larger message comes back as its header', () => {
  for (const bytes of around(noticesPolicy.returnFullBytesMax)) {
    const fits = bytes <= noticesPolicy.returnFullBytesMax
    assert.equal(returnsWhole('failed', 'FULL', bytes, noticesPolicy), fits)
    assert.equal(returnsWhole('failed', 'HDRS', bytes, noticesPolicy), false)
    assert.equal(returnsWhole('failed', '', bytes, noticesPolicy), false)
    assert.equal(returnsWhole('delayed', 'FULL', bytes, noticesPolicy), false)
  }
})
