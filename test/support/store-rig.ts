/** A message store on real files, with a clock and chance that obey, and records to put into it. */
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type AttemptOutcome,
  type MessageHead,
  type MessageTable,
  openMessageStore,
  type StoreOptions,
  unpackMessage,
} from '../../src/events/events.ts'
import { VirtualClock } from '../../src/kernel/clock.ts'
import { uuidText } from '../../src/kernel/ids.ts'
import { seededRandom } from '../../src/kernel/random.ts'
import { dayMs, GiB } from '../../src/kernel/units.ts'
import type { OutcomeKind } from '../../src/model/outcome.ts'
import { noFacts, type SubmissionFacts } from '../../src/model/submission.ts'
import type { MessageRecord } from '../../src/ports/message-store.ts'

/** 2026-07-01, noon, UTC. */
export const firstNoonMs = Date.UTC(2026, 6, 1, 12)

/** Where there is such a place, a test does not wait for the disk hundreds of times. */
const memory = '/dev/shm'

/** A test, or whoever else ends. */
interface Ending {
  after(end: () => void): void
}

export class StoreRig {
  readonly directory: string
  readonly clock = new VirtualClock(firstNoonMs)
  readonly problems: string[] = []
  table: MessageTable
  readonly #options: Partial<StoreOptions>

  constructor(t: Ending, options: Partial<StoreOptions> = {}) {
    const parent = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), 'posthaste-store-'))
    t.after(() => rmSync(parent, { recursive: true }))
    this.directory = join(parent, 'messages')
    this.#options = options
    this.table = this.open()
    t.after(() => this.table.close())
  }

  open(): MessageTable {
    return openMessageStore({
      directory: this.directory,
      clock: this.clock,
      random: seededRandom(7),
      retentionDays: 30,
      bytesMax: GiB,
      onProblem: (text) => void this.problems.push(text),
      ...this.#options,
    })
  }

  reopen(): void {
    this.table.close()
    this.table = this.open()
  }

  /** The process ends without a word: open transactions are gone, what was committed is there. */
  crash(): void {
    const copy = `${this.directory}-as-it-was`
    cpSync(this.directory, copy, { recursive: true })
    this.restore(copy)
    rmSync(copy, { recursive: true })
  }

  /** The machine loses its power, and what it had written was no more than this. */
  restore(copy: string): void {
    this.table.close()
    rmSync(this.directory, { recursive: true })
    cpSync(copy, this.directory, { recursive: true })
    this.table = this.open()
  }

  /** Null tenant: of any. */
  find(tenant: string | null, id: string): MessageRecord | null {
    const packed = this.table.find(tenant, id, true)
    return packed === null ? null : unpackMessage(packed)
  }

  /** Accepts a message now. Its id tells its number and time. */
  accept(number: number, given: Partial<MessageHead> = {}, facts: Partial<SubmissionFacts> = {}): string {
    const head = headOf(number, this.clock.nowMs(), given)
    this.table.submission(number, head, { ...noFacts, ...facts })
    return head.id
  }

  nextDay(): void {
    this.clock.advance(dayMs)
  }
}

/** A version 7 id of this time, the number in its random part. */
export function idOf(number: number, atMs: number): string {
  const bytes = Buffer.alloc(16)
  bytes.writeUIntBE(atMs, 0, 6)
  bytes.writeDoubleBE(number, 8)
  bytes[6] = 0x70
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f)
  return uuidText(bytes, 0)
}

export const headOf = (number: number, acceptedAtMs: number, given: Partial<MessageHead> = {}): MessageHead => ({
  id: idOf(number, acceptedAtMs),
  tenant: 'acme',
  returnPath: 'bounces@acme.example',
  recipients: [`user${number}@example.net`],
  mailClass: 'transactional',
  acceptedAtMs,
  expiresAtMs: 0,
  contentBytes: 1000,
  client: '203.0.113.7 helo.example',
  ...given,
})

const codes: ReadonlyMap<OutcomeKind, readonly [code: number, enhanced: string]> = new Map([
  ['delivered', [250, '2.0.0']],
  ['bounced', [550, '5.1.1']],
  ['deferred', [451, '4.7.1']],
  ['uncertain', [0, '4.4.2']],
  ['expired', [0, '5.4.7']],
])

/** One recipient's share of an attempt. */
export function outcomeOf(
  kind: OutcomeKind,
  attempt: number,
  { recipient = 0, atMs = firstNoonMs + attempt * 60_000 }: { recipient?: number; atMs?: number } = {},
): AttemptOutcome {
  const [code, enhanced] = codes.get(kind) ?? [0, '']
  const later = kind === 'deferred' || kind === 'uncertain'
  return {
    atMs,
    attempt: {
      startedAtMs: atMs - 30,
      host: 'mx.example.net',
      address: '192.0.2.7:25',
      source: '192.0.2.1',
      tls: '',
      reusedConnection: attempt % 2 === 0,
      connectedMs: 1,
      envelopeMs: -1,
      finishedMs: 30,
    },
    recipients: [
      {
        recipient,
        attempt,
        outcome: { kind, scope: 'recipient', stage: 'final', code, enhanced, text: `${kind}, attempt ${attempt}` },
        nextAttemptAtMs: later ? atMs + 300_000 : 0,
        mayBeDuplicate: false,
      },
    ],
  }
}
