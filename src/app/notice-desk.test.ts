import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headFor, openRig, smallSpool, type SpoolRig } from '../../test/support/spool-rig.ts'
import { condition } from '../../test/support/condition.ts'
import { sandboxConfig } from '../config/config.ts'
import type { DueNotice } from '../events/events.ts'
import type { NoticeKind } from '../feedback/feedback.ts'
import { VirtualClock } from '../kernel/clock.ts'
import { uuidV7From } from '../kernel/ids.ts'
import { type Failure, failures } from '../model/failures.ts'
import type { SubmissionHead } from '../model/submission.ts'
import type { OutgoingMail } from '../ports/outbox.ts'
import { isFailure } from '../ports/submissions.ts'
import { RecordReader } from '../spool/spool.ts'
import * as limits from './limits.ts'
import { NoticeDesk } from './notice-desk.ts'
import { readOriginal } from './original.ts'

const { notices: config } = sandboxConfig('/nowhere', { smtpPort: 0, managementPort: 0 }).config
const header = 'From: Ann <ann@example.com>\r\nMessage-ID: <1@example.com>\r\n'
const about = {
  id: uuidV7From(1, Buffer.alloc(10)),
  tenant: 'acme',
  returnPath: 'ann@example.com',
  from: 'ann@example.com',
  subject: 'hello',
  acceptedAtMs: 1,
  recipients: 1,
}
const outcome = {
  kind: 'bounced',
  scope: 'recipient',
  stage: 'rcpt',
  code: 550,
  enhanced: '5.1.1',
  text: 'nobody',
} as const

function keep(
  rig: SpoolRig,
  content: string | Buffer,
  more: Partial<SubmissionHead> = {},
): { number: number; place: number } {
  const bytes = Buffer.from(content)
  const transaction = rig.owners[0]?.begin(bytes.length, 'acme')
  assert.ok(transaction !== undefined && !isFailure(transaction))
  for (let at = 0; at < bytes.length; at += 1_000) transaction.append(bytes, at, Math.min(at + 1_000, bytes.length))
  transaction.commit(headFor(['bob@example.net'], more), () => {})
  rig.settle()
  const row = [...rig.queue.rows.values()].flat().at(-1)
  assert.ok(row !== undefined)
  return row
}

class Desk {
  readonly sent: OutgoingMail[] = []
  readonly ended: string[] = []
  due: DueNotice<NoticeKind>[] = []
  failure: Failure | null = null
  open = true
  /** Numbers of messages over which threads have died. */
  leftOut: number[] = []
  readonly dropped: string[] = []
  readonly putOff: string[] = []
  held: Promise<void> = Promise.resolve()
  readonly desk: NoticeDesk

  constructor(records: RecordReader) {
    this.desk = new NoticeDesk({
      tally: () => ({
        dueNotices: (count, except) => this.due.filter(({ id }) => except?.has(id) !== true).slice(0, count),
        putOffNotice: (id) => {
          this.putOff.push(id)
          this.due.push(
            ...this.due.splice(
              this.due.findIndex((notice) => notice.id === id),
              1,
            ),
          )
        },
        endNotice: (id, state) => {
          if (state === 'dropped') this.dropped.push(id)
          this.ended.push(id)
          this.due = this.due.filter((notice) => notice.id !== id)
        },
      }),
      config,
      hostname: 'mail.example.com',
      records,
      clock: new VirtualClock(10),
      log: () => {},
      isOpen: () => this.open,
      take: (number, act) => {
        if (!this.leftOut.includes(number)) act()
      },
      send: async (mail) => {
        this.sent.push(mail)
        await this.held
        return this.failure
      },
      touch: () => {},
    })
  }

  add(number: number, place: number): string {
    const id = uuidV7From(2, Buffer.alloc(10, this.due.length + 1))
    const told = {
      recipient: 0,
      address: 'bob@example.net',
      outcome,
      host: 'mx',
      peerAddress: '',
      atMs: 2,
      retriedUntilMs: 0,
    }
    this.due.push({ id, number, kind: 'failed', about: { ...about, place }, told: [told] })
    return id
  }
}

test('a notice quotes the header as it was sent, goes out under its id, and is tried again until somebody takes it', async () => {
  const rig = openRig({ config: smallSpool })
  rig.settle()
  const { number, place } = keep(rig, `X-Posthaste-Tag: a\r\n${header}\r\n.body\r\n`, { cuts: [0, 20], dotLines: true })
  const desk = new Desk(new RecordReader(rig.disk, rig.spool.channels, smallSpool.segmentBytes))
  const id = desk.add(number, place)
  desk.failure = failures.draining
  desk.desk.look()
  await condition(() => desk.sent.length === 1)
  assert.deepEqual(desk.ended, [])
  desk.failure = null
  desk.desk.look()
  await condition(() => desk.ended.length === 1)
  assert.deepEqual(desk.ended, [id])
  const [, mail] = desk.sent
  assert.equal(mail?.id, id)
  assert.deepEqual(mail.recipients, ['ann@example.com'])
  const text = mail.content.toString()
  assert.ok(text.includes(header))
  assert.ok(!text.includes('X-Posthaste-Tag') && !text.includes('.body'))
})

test('of a mail that cannot be read any more a notice tells what is known', async () => {
  const rig = openRig({ config: smallSpool })
  rig.settle()
  const desk = new Desk(new RecordReader(rig.disk, rig.spool.channels, smallSpool.segmentBytes))
  desk.add(64, 64 * 5 * smallSpool.segmentBytes)
  desk.desk.look()
  await condition(() => desk.ended.length === 1)
  assert.match(desk.sent[0]?.content.toString() ?? '', /Subject: hello/)
})

test('nothing is sent before all is known that went out', async () => {
  const rig = openRig({ config: smallSpool })
  rig.settle()
  const desk = new Desk(new RecordReader(rig.disk, rig.spool.channels, smallSpool.segmentBytes))
  desk.add(64, 0)
  desk.open = false
  desk.desk.look()
  assert.equal(desk.sent.length, 0)
  desk.open = true
  desk.desk.look()
  await condition(() => desk.ended.length === 1)
})

test('a notice that nobody takes goes behind the others, and until one is taken they are tried one by one', async () => {
  const rig = openRig({ config: smallSpool })
  rig.settle()
  const desk = new Desk(new RecordReader(rig.disk, rig.spool.channels, smallSpool.segmentBytes))
  const ids = [1, 2, 3].map((number) => desk.add(64 * number, 0))
  desk.failure = failures.tenantShareFull
  desk.desk.look()
  await condition(() => desk.putOff.length === 3)
  assert.deepEqual(desk.putOff, ids)
  desk.desk.look()
  await condition(() => desk.putOff.length === 4)
  assert.equal(desk.sent.length, 4)
  desk.failure = null
  desk.desk.look()
  await condition(() => desk.ended.length === 3)
  assert.deepEqual(desk.ended, [ids[1], ids[2], ids[0]])
  assert.deepEqual(desk.dropped, [])
})

test('a notice over which threads have died is left out; after the end of the tally nobody writes to it', async () => {
  const rig = openRig({ config: smallSpool })
  rig.settle()
  const desk = new Desk(new RecordReader(rig.disk, rig.spool.channels, smallSpool.segmentBytes))
  desk.leftOut = [64]
  const id = desk.add(64, 0)
  desk.desk.look()
  await condition(() => desk.ended.length === 1)
  assert.deepEqual([desk.sent.length, desk.dropped], [0, [id]])
  desk.add(128, 0)
  let release: () => void = () => {}
  desk.held = new Promise((resolve) => (release = resolve))
  desk.desk.look()
  await condition(() => desk.sent.length === 1)
  desk.desk.stop()
  release()
  await new Promise<void>((resolve) => setImmediate(resolve))
  assert.equal(desk.ended.length, 1)
})

test('limit app.notices-under-way: so many are written at once, one more waits', async () => {
  const { value } = limits.noticesUnderWayMax
  const rig = openRig({ config: smallSpool })
  rig.settle()
  const { number, place } = keep(rig, `${header}\r\nbody\r\n`)
  for (const count of [value - 1, value, value + 1]) {
    const desk = new Desk(new RecordReader(rig.disk, rig.spool.channels, smallSpool.segmentBytes))
    for (let i = 0; i < count; i++) desk.add(number, place)
    let release: () => void = () => {}
    desk.held = new Promise((resolve) => (release = resolve))
    desk.desk.look()
    await condition(() => desk.sent.length === Math.min(count, value))
    desk.desk.look()
    release()
    await condition(() => desk.due.length === 0)
    assert.equal(desk.sent.length, count)
  }
})

test('limit app.original-header: a longer header is cut', async () => {
  const { value } = limits.originalHeaderBytesMax
  const rig = openRig({ config: { ...smallSpool, windowBytes: 1024 * 1024, segmentBytes: 1024 * 1024 } })
  rig.settle()
  const records = new RecordReader(rig.disk, rig.spool.channels, 1024 * 1024)
  for (const bytes of [value - 1, value, value + 1]) {
    const long = `X-Long: ${'x'.repeat(bytes - 10)}\r\n`
    const { number, place } = keep(rig, `${long}\r\nbody\r\n`)
    const original = await readOriginal(records, number, place, () => false)
    assert.ok((original?.header.length ?? 0) >= Math.min(bytes, value) - 1)
    assert.equal(original?.body, null)
  }
  const { number, place } = keep(rig, `${header}\r\nbody\r\n`, {
    dsn: { returns: 'FULL', envelopeId: 'e', recipients: [{ notify: 0, originalRecipient: '' }] },
  })
  const whole = await readOriginal(records, number, place, (asked) => asked === 'FULL')
  assert.equal(whole?.body?.toString(), 'body\r\n')
  assert.equal(whole.dsn?.envelopeId, 'e')
})
