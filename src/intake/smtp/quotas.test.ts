/** Quotas by SMTP: part of a transaction fits, others take the rest meanwhile, and what was not committed was not used. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { quotaRig, type QuotaRig } from '../../../test/support/quota-rig.ts'
import type { SmtpClient } from '../../../test/support/smtp-client.ts'
import { goodMessage, type SmtpRig, startRig } from '../../../test/support/smtp-rig.ts'
import { VirtualClock } from '../../kernel/clock.ts'
import { failures } from '../../model/failures.ts'
import type { Clients } from '../../ports/clients.ts'
import type { MessageStore } from '../../ports/message-store.ts'
import { isQuotaRefusal, type QuotaLimits } from '../../ports/quotas.ts'

const ask = async (client: SmtpClient, line: string): Promise<string> => (await client.command(line)).lines.join()
const acme = { tenant: 'acme', how: 'network' }

interface Door extends QuotaRig {
  readonly rig: SmtpRig
  /** With MAIL said. */
  readonly open: () => Promise<SmtpClient>
}

async function door(t: TestContext, limits: Partial<QuotaLimits>, store?: MessageStore): Promise<Door> {
  const quotas = quotaRig(new VirtualClock(), limits)
  const clients: Clients = {
    knowsNetwork: () => true,
    bySource: () => acme,
    byLogin: () => null,
    byKey: () => null,
    isCurrent: () => true,
    stream: () => null,
    maySendAs: () => true,
  }
  const rig = await startRig(t, { clients, quotas: quotas.quotas, ...(store && { store }) })
  const open = async (): Promise<SmtpClient> => {
    const client = await rig.hello()
    assert.match(await ask(client, 'MAIL FROM:<ann@example.test>'), /^250 /)
    return client
  }
  return { ...quotas, rig, open }
}

test('of a transaction as many recipients are taken as the quota has left, and the others hear which quota it is', async (t) => {
  const { rig, open, load, rows } = await door(t, { messagesPerDay: 3 })
  load()
  const client = await open()
  for (const name of ['a', 'b', 'c']) assert.match(await ask(client, `RCPT TO:<${name}@x.test>`), /^250 /)
  const refused = await ask(client, 'RCPT TO:<d@x.test>')
  assert.match(
    refused,
    /^452 4\.7\.1 the quota of this tenant is 3 messages a day, and these are 4 at once: send fewer/,
  )
  await ask(client, 'DATA')
  assert.match(await ask(client, `${goodMessage}.`), /^250 /)
  assert.equal(rig.spool.committed[0]?.head.recipients.length, 3)
  assert.equal(rows.use('acme', null)?.dayMessages, 3)
  await ask(client, 'MAIL FROM:<ann@example.test>')
  assert.match(await ask(client, 'RCPT TO:<d@x.test>'), /^452 4\.7\.1 .* 0 of them are left/)
  assert.equal(rig.events.at(-1)?.code, 'quota_exceeded')
})

test('what another session took meanwhile is missing at the end of content, and nothing is committed', async (t) => {
  const { rig, open, load, quotas, rows } = await door(t, { messagesPerDay: 3 })
  load()
  const client = await open()
  for (const name of ['a', 'b']) await ask(client, `RCPT TO:<${name}@x.test>`)
  await ask(client, 'DATA')
  quotas.take(acme, 2)
  assert.match(await ask(client, `${goodMessage}.`), /^452 4\.7\.1 the quota .* 1 of them/)
  assert.equal(rig.spool.committed.length, 0)
  assert.equal(rig.spool.open, 0)
  assert.equal(rows.use('acme', null)?.dayMessages, 2)
  await ask(client, 'MAIL FROM:<ann@example.test>')
  assert.match(await ask(client, 'RCPT TO:<a@x.test>'), /^250 /, 'the session goes on')
})

test('a commit that fails, a reset and content that is refused use nothing', async (t) => {
  const { rig, open, load, rows } = await door(t, { messagesPerDay: 3, messagesPerSecond: 3 })
  load()
  const client = await open()
  await ask(client, 'RCPT TO:<a@x.test>')
  await ask(client, 'RSET')
  await ask(client, 'MAIL FROM:<ann@example.test>')
  await ask(client, 'RCPT TO:<a@x.test>')
  await ask(client, 'DATA')
  assert.match(await ask(client, 'no header\r\n.'), /^550 /)
  rig.spool.commitFailure = failures.spoolBroken
  await ask(client, 'MAIL FROM:<ann@example.test>')
  await ask(client, 'RCPT TO:<a@x.test>')
  await ask(client, 'DATA')
  assert.match(await ask(client, `${goodMessage}.`), /^451 4\.3\.0 /)
  assert.equal(rows.use('acme', null)?.dayMessages, 0)
  assert.equal(rows.use('acme', null)?.secondMessages, 0)
})

test('while usage is being counted every recipient is refused for the moment; then it goes on', async (t) => {
  const { open, load } = await door(t, { messagesPerMonth: 10 })
  const client = await open()
  assert.match(await ask(client, 'RCPT TO:<a@x.test>'), /^451 4\.3\.2 usage is being counted/)
  load(9)
  assert.match(await ask(client, 'RCPT TO:<a@x.test>'), /^250 /)
  assert.match(await ask(client, 'RCPT TO:<b@x.test>'), /^452 4\.7\.1 /)
})

test('a tenant whose mail fills its spool quota is refused alone', async (t) => {
  const { open, table } = await door(t, { spoolRecipients: 5 })
  const client = await open()
  table.setWaiting(0, 1, 5)
  assert.match(await ask(client, 'RCPT TO:<a@x.test>'), /^452 4\.7\.1 the spool quota of this tenant is 5 recipients/)
  table.setWaiting(0, 1, 4)
  assert.match(await ask(client, 'RCPT TO:<a@x.test>'), /^250 /)
})

test('a message with a key of idempotency that was refused for a quota may be sent again under the key', async (t) => {
  const released: number[] = []
  const store: MessageStore = {
    claim: async () => ({ kind: 'new', claim: 7 }),
    release: (claim) => void released.push(claim),
    find: () => assert.fail('intake does not ask that'),
    status: () => assert.fail('intake does not ask that'),
    list: () => assert.fail('intake does not ask that'),
  }
  const { rig, open, load, quotas, rows } = await door(t, { messagesPerDay: 2 }, store)
  load()
  const client = await open()
  await ask(client, 'RCPT TO:<a@x.test>')
  await ask(client, 'DATA')
  const others = quotas.take(acme, 2)
  assert.ok(!isQuotaRefusal(others))
  const content = `X-Posthaste-Idempotency-Key: one\r\n${goodMessage}.`
  assert.match(await ask(client, content), /^452 4\.7\.1 /)
  assert.deepEqual([released, rig.spool.committed.length, rig.spool.open], [[7], 0, 0])
  quotas.giveBack(others)
  for (const line of ['MAIL FROM:<ann@example.test>', 'RCPT TO:<a@x.test>', 'DATA']) await ask(client, line)
  assert.match(await ask(client, content), /^250 /)
  assert.deepEqual([released, rows.use('acme', null)?.dayMessages], [[7, 7], 1])
})
