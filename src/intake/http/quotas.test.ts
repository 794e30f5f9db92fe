/** Quotas by HTTP: what is refused and how, what headers tell, and that nothing is used by what was not committed. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { keys, type HttpRig, startHttpRig } from '../../../test/support/http-rig.ts'
import { quotaRig, type QuotaRig } from '../../../test/support/quota-rig.ts'
import { VirtualClock } from '../../kernel/clock.ts'
import { failures } from '../../model/failures.ts'
import type { QuotaLimits } from '../../ports/quotas.ts'

const email = { from: 'ann@example.test', to: ['a@x.test', 'b@x.test'], subject: 'hi', text: 'hi' }
/** A day ends in twelve hours. */
const noonMs = Date.UTC(2026, 10, 22, 12)

async function door(
  t: TestContext,
  own: Partial<QuotaLimits>,
  key?: Partial<QuotaLimits>,
): Promise<QuotaRig & { readonly rig: HttpRig }> {
  const quotas = quotaRig(new VirtualClock(noonMs), own, key)
  return { ...quotas, rig: await startHttpRig(t, { quotas: quotas.quotas }) }
}

const rate = (headers: Headers): (string | null)[] =>
  ['limit', 'remaining', 'reset'].map((name) => headers.get(`ratelimit-${name}`))

test('a message counts once for each recipient; 202 and 429 tell what is left of the tightest quota, and for how long', async (t) => {
  const { rig, load } = await door(t, { messagesPerMonth: 1_000 }, { messagesPerDay: 5 })
  load()
  const first = await rig.post(email)
  assert.equal(first.status, 202)
  assert.deepEqual(rate(first.headers), ['5', '3', '43200'])
  assert.deepEqual(rate((await rig.post(email)).headers), ['5', '1', '43200'])
  const refused = await rig.post(email)
  assert.equal(refused.status, 429)
  assert.equal(refused.headers.get('content-type'), 'application/problem+json; charset=utf-8')
  assert.equal(refused.headers.get('retry-after'), '43200')
  assert.deepEqual(rate(refused.headers), ['5', '1', '43200'])
  assert.equal(refused.body['code'], 'quota_exceeded')
  assert.equal(
    refused.body['detail'],
    'the quota of this key is 5 messages a day, 1 of them are left until 2026-11-23T00:00:00Z',
  )
  assert.match(String(refused.body['cure']), /Retry-After/)
  assert.equal((await rig.post({ ...email, to: 'a@x.test' })).status, 202, 'one still fits')
  assert.equal(rig.spool.committed.length, 3)
  const rival = await rig.post({ ...email, from: 'eve@rival.test' }, { key: keys.rival })
  assert.equal(rival.status, 202, 'another tenant')
  assert.deepEqual(rate(rival.headers), [null, null, null])
})

test('more at once than a window ever has is told so', async (t) => {
  const { rig } = await door(t, { messagesPerSecond: 1 })
  const refused = await rig.post(email)
  assert.equal(refused.status, 429)
  assert.match(String(refused.body['detail']), /is 1 message a second, and these are 2 at once/)
  assert.equal(refused.body['cure'], 'Send it in several requests, of 1 recipients at most.')
  assert.equal(refused.headers.get('retry-after'), '1')
})

test('a commit that fails, a sender that is refused and an answer given again use nothing', async (t) => {
  const { rig, load, rows } = await door(t, { messagesPerDay: 5 })
  load()
  assert.equal((await rig.post({ ...email, from: 'eve@rival.test' })).status, 403)
  rig.spool.commitFailure = failures.spoolBroken
  assert.equal((await rig.post(email)).status, 503)
  rig.spool.commitFailure = null
  rig.spool.beginFailure = failures.spoolFull
  assert.equal((await rig.post(email)).status, 503)
  rig.spool.beginFailure = null
  const attachments = [{ filename: 'a.txt', content: 'no base64!' }]
  assert.equal((await rig.post({ ...email, attachments })).status, 422)
  assert.equal(rows.use('acme', null)?.dayMessages, 0)
  const headers = { 'idempotency-key': 'one' }
  assert.equal((await rig.post(email, { headers })).status, 202)
  const again = await rig.post(email, { headers })
  assert.equal(again.headers.get('idempotent-replayed'), 'true')
  assert.equal(rows.use('acme', null)?.dayMessages, 2)
})

test('a key of idempotency that was refused for a quota is free: the same request is taken later', async (t) => {
  const { rig, load, quotas } = await door(t, { messagesPerDay: 3 })
  load()
  const taken = quotas.take({ tenant: 'acme', how: '' }, 2)
  const headers = { 'idempotency-key': 'one' }
  assert.equal((await rig.post(email, { headers })).status, 429)
  assert.ok('parts' in taken)
  quotas.giveBack(taken)
  assert.equal((await rig.post(email, { headers })).status, 202)
})

test('while usage is being counted: 503, again in a second; over the spool quota: 429 of its own', async (t) => {
  const { rig, load, table } = await door(t, { messagesPerDay: 5, spoolBytes: 1_024 })
  const counted = await rig.post(email)
  assert.equal(counted.status, 503)
  assert.equal(counted.headers.get('retry-after'), '1')
  assert.equal(counted.body['code'], 'usage_unknown')
  load()
  table.setWaiting(0, 2_048, 1)
  const full = await rig.post(email)
  assert.deepEqual([full.status, full.body['code'], full.headers.get('retry-after')], [429, 'spool_quota_full', '30'])
  assert.match(String(full.body['detail']), /spool quota of this tenant is 1 KiB/)
  table.setWaiting(0, 0, 0)
  assert.equal((await rig.post(email)).status, 202)
})
