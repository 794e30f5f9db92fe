/** Mail that comes to grief, through the engine as configured for production; its notices, from the mailbox of a real Postfix, before readers of others. */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Engine, freePort, startEngine } from '../support/engine.ts'
import type { FakeZone } from '../support/fake-dns.ts'
import { send } from '../support/scenario.ts'
import { until } from '../support/wait.ts'
import { dkimverify, opendkimTestmsg } from './support/dkim-verifiers.ts'
import { makeKey } from './support/dkim-key.ts'
import { type Mailboxes, startMailboxes } from './support/mailboxes.ts'
import { readByBounceParser, readByPython } from './support/notice-readers.ts'

const directory = mkdtempSync(join(tmpdir(), 'posthaste-notices-'))
const zone: FakeZone = {}
/** Whose mail it is, and who refuses it, without DSN. */
let home: Mailboxes
let away: Mailboxes
let engine: Engine

const expiresAfterS = 6

before(async () => {
  // Postfix runs as users of its own, which must get through to their folders.
  chmodSync(directory, 0o755)
  const access = {
    'full@away.test': '552 5.2.2 The mailbox is full',
    'busy@away.test': '450 4.2.1 Come back tomorrow',
    'slow@away.test': '450 4.2.1 Come back later',
  }
  const table = Object.entries(access).map(([address, reply]) => `{${address}=${reply}}`)
  const refuses = { smtpd_recipient_restrictions: `check_recipient_access inline:{${table.join(' ')}}` }
  const hides = { smtpd_discard_ehlo_keywords: 'dsn' }
  ;[home, away] = await Promise.all([
    startMailboxes({ directory: join(directory, 'home'), domain: 'home.test', maps: 'static:ann/' }),
    startMailboxes({
      directory: join(directory, 'away'),
      domain: 'away.test',
      maps: `inline:{${['ben', 'full', 'busy', 'slow'].map((name) => `{${name}@away.test=${name}/}`).join(' ')}}`,
      settings: { ...refuses, ...hides },
    }),
  ])
  engine = await startEngine({
    directory: join(directory, 'engine'),
    port: await freePort(),
    config: `dkim:
  - { domain: posthaste.test, selector: rsa, private_key_file: ${makeKey(directory, zone, 'posthaste.test', 'rsa')} }
  - { domain: posthaste.test, selector: ed25519, private_key_file: ${makeKey(directory, zone, 'posthaste.test', 'ed25519')} }
routes:
  - { domain: home.test, host: 127.0.0.1, port: ${home.port} }
  - { domain: away.test, host: 127.0.0.1, port: ${away.port} }
notices: { delay_after: 1s, group_within: 1s }
retry: { delays: [1s], jitter: 0, expire_after: ${expiresAfterS}s }
`,
  })
})

after(async () => {
  await Promise.all([engine?.stop(), home?.stop(), away?.stop()])
  rmSync(directory, { recursive: true, force: true })
})

interface Case {
  readonly to: string
  readonly parameters: string
  /** Null: nobody is told. */
  readonly told: { readonly action: string; readonly status: string } | null
}

const cases: readonly Case[] = [
  { to: 'nobody@away.test', parameters: '', told: { action: 'failed', status: '5.1.1' } },
  { to: 'full@away.test', parameters: '', told: { action: 'failed', status: '5.2.2' } },
  { to: 'busy@away.test', parameters: '', told: { action: 'failed', status: '5.4.7' } },
  { to: 'ben@away.test', parameters: 'NOTIFY=SUCCESS', told: { action: 'relayed', status: '2.0.0' } },
  { to: 'slow@away.test', parameters: 'NOTIFY=DELAY', told: { action: 'delayed', status: '4.2.1' } },
  { to: 'never@away.test', parameters: 'NOTIFY=NEVER', told: null },
]

const messageIdOf = ({ to }: Case): string => `<${to.replace('@', '.')}@home.test>`

const letterTo = (one: Case): string =>
  `From: Ann <ann@home.test>\r\nTo: ${one.to}\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\nSubject: to ${one.to}\r\n` +
  `Message-ID: ${messageIdOf(one)}\r\n\r\nhello\r\n`

/** The notice about this message. */
const noticeOf = (id: string): Buffer | undefined =>
  home.mail('ann').find((content) => content.includes(`X-Posthaste-Message: ${id}\r\n`))

async function assertRead(one: Case & { readonly told: NonNullable<Case['told']> }, notice: Buffer): Promise<void> {
  const { action, status } = one.told
  const python = await readByPython(notice)
  assert.deepEqual([python.type, python.reportType, python.defects], ['multipart/report', 'delivery-status', []])
  assert.equal(python.answers, messageIdOf(one))
  assert.deepEqual(
    python.recipients.map((block) => [block['final-recipient'], block['action'], block['status']]),
    [[`rfc822; ${one.to}`, action, status]],
  )
  const parser = await readByBounceParser(notice)
  assert.equal(parser.isBounce, action === 'failed')
  assert.equal(parser.messageId, messageIdOf(one))
  assert.deepEqual(
    parser.reports.map((report) => [report.email, report.action, report.status]),
    action === 'failed' ? [[one.to, action, status]] : [],
  )
  assert.match(
    notice.toString('latin1'),
    new RegExp(`^Original-Envelope-Id: about ${one.to.replace('@', ' ')}\r$`, 'm'),
  )
  assert.match(notice.toString('latin1'), /^Return-Path: <>\r$/m)
}

test('each is told, signed, what became of its mail: recipient, status, action and envelope id are found by Python and BounceParser', async () => {
  const ids = new Map<Case, string>()
  for (const one of cases) {
    const from = `ann@home.test ENVID=about+20${one.to.replace('@', '+20')}`
    const to = [`${one.to} ${one.parameters}`.trim()]
    ids.set(one, await send({ smtpPort: engine.port }, { from, to, content: letterTo(one) }))
  }
  const told = cases.filter((one): one is Case & { told: NonNullable<Case['told']> } => one.told !== null)
  await until(30_000, 'not all notices arrived', () =>
    told.every((one) => noticeOf(ids.get(one) ?? '') !== undefined),
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}\n--- engine\n${engine.log()}\n--- home\n${home.log()}\n--- away\n${away.log()}`)
  })
  await Promise.all(
    told.map(async (one) => {
      const notice = noticeOf(ids.get(one) ?? '') as Buffer
      await assertRead(one, notice)
      for (const index of [0, 1]) assert.match((await dkimverify(notice, zone, index)).output, /signature ok/)
      assert.deepEqual(await opendkimTestmsg(notice, zone), { exitCode: 0, output: '' })
    }),
  )
  // The mail that was delayed has expired at the same time as the other, and its sender did not ask to hear of that.
  assert.equal(home.mail('ann').length, told.length)
})
