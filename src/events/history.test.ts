/**
 * The store against a plain model of it, over random histories: records of several logs, that come again after crashes and power cuts, over days.
 * At the end of each, and whenever everything was read, both give the same answers.
 */
import assert from 'node:assert/strict'
import { cpSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { headOf, outcomeOf, StoreRig } from '../../test/support/store-rig.ts'
import { hourMs, minuteMs } from '../kernel/units.ts'
import type { OutcomeKind } from '../model/outcome.ts'
import { inLog, noFacts, type SubmissionFacts } from '../model/submission.ts'
import { type RecipientStatus, recipientStatuses } from '../ports/message-store.ts'
import { attemptsKeptMax } from './limits.ts'
import type { AttemptOutcome, MessageHead } from './message-table.ts'

type Entry =
  | { readonly number: number; readonly head: MessageHead; readonly facts: SubmissionFacts }
  | { readonly number: number; readonly outcome: AttemptOutcome }

const kinds: readonly OutcomeKind[] = ['delivered', 'bounced', 'deferred', 'deferred', 'uncertain', 'expired']
interface Person {
  attempts: number
  status: RecipientStatus
  duplicate: boolean
  readonly tries: string[]
}

/** All that was ever written to the logs, in order, and what must be known of it. */
class History {
  readonly entries: Entry[] = []
  readonly messages = new Map<number, { head: MessageHead; facts: SubmissionFacts; people: Person[] }>()
  readonly #sequences: [number, number, number] = [0, 0, 0]

  accept(log: 0 | 1 | 2, gap: number, atMs: number, seed: number): void {
    this.#sequences[log] += 1 + gap
    const number = inLog(log, this.#sequences[log])
    const recipients = Array.from({ length: 1 + (seed % 3) }, (_, i) => `User${(seed + i) % 5}@example.net`)
    const head = headOf(number, atMs, { tenant: `t${seed % 2}`, recipients })
    const key = seed % 4 === 0 ? `key${number}` : ''
    const facts = { ...noFacts, idempotencyKey: key, requestSha256: key, tags: seed % 3 === 0 ? ['x'] : [] }
    const people = recipients.map((): Person => ({ attempts: 0, status: 'queued', duplicate: false, tries: [] }))
    this.messages.set(number, { head, facts, people })
    this.entries.push({ number, head, facts })
  }

  attempt(seed: number, kind: OutcomeKind, atMs: number): void {
    const waiting = [...this.messages].flatMap(([number, { people }]) =>
      people.flatMap((person, recipient) => (!isOver(person) ? [{ number, person, recipient }] : [])),
    )
    const chosen = waiting[seed % Math.max(1, waiting.length)]
    if (chosen === undefined) return
    const { number, person, recipient } = chosen
    person.attempts += 1
    person.status = kind === 'deferred' || kind === 'uncertain' ? 'deferred' : kind
    person.duplicate ||= kind === 'uncertain'
    person.tries.push(kind)
    this.entries.push({ number, outcome: outcomeOf(kind, person.attempts, { recipient, atMs }) })
  }
}

const isOver = ({ status }: Person): boolean => status !== 'queued' && status !== 'deferred'

type Step =
  | { readonly do: 'accept'; readonly log: 0 | 1 | 2; readonly gap: number; readonly seed: number }
  | { readonly do: 'attempt'; readonly seed: number; readonly kind: OutcomeKind }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'again'; readonly back: number }
  | { readonly do: 'commit' | 'sync' | 'crash' | 'reopen' | 'power cut' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('accept' as const),
      log: fc.constantFrom(0, 1, 2),
      gap: fc.nat(2),
      seed: fc.nat(1000),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('attempt' as const),
      seed: fc.nat(1000),
      kind: fc.constantFrom(...kinds),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(minuteMs, hourMs, 13 * hourMs, -hourMs, -30 * hourMs),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('again' as const), back: fc.nat(12) }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constantFrom('commit' as const, 'sync', 'crash', 'reopen', 'power cut') }),
  },
)

/** A reader of the one log that the history is, and its store. */
class Reader {
  readonly rig: StoreRig
  readonly history = new History()
  readonly #durable: string
  /** Before it everything was read. */
  #position = 0

  constructor(t: { after(end: () => void): void }) {
    this.rig = new StoreRig(t)
    this.#durable = `${this.rig.directory}-durable`
    this.#sync()
  }

  run(given: Step): void {
    const { rig, history } = this
    const nowMs = rig.clock.nowMs()
    switch (given.do) {
      case 'accept':
        history.accept(given.log, given.gap, nowMs, given.seed)
        return this.read()
      case 'attempt':
        history.attempt(given.seed, given.kind, nowMs)
        return this.read()
      case 'wait':
        return rig.clock.jumpWall(given.ms)
      case 'again':
        this.#position = Math.max(0, this.#position - given.back)
        return this.read()
      case 'commit':
        return rig.table.commit()
      case 'sync':
        return this.#sync()
      case 'crash':
        rig.crash()
        return this.#begin()
      case 'reopen':
        rig.reopen()
        return this.#begin()
      case 'power cut':
        rig.restore(this.#durable)
        return this.#begin()
    }
  }

  read(): void {
    for (; this.#position < this.history.entries.length; this.#position++) {
      const entry = this.history.entries[this.#position] as Entry
      if ('head' in entry) this.rig.table.submission(entry.number, entry.head, entry.facts)
      else this.rig.table.outcome(entry.number, entry.outcome)
    }
  }

  #begin(): void {
    this.#position = this.rig.table.positions.get('log') ?? 0
    this.read()
  }

  /** What is on disk now is all that a power cut leaves: later commits are not synced. Shared memory is nothing that it leaves. */
  #sync(): void {
    this.rig.table.sync(new Map([['log', this.#position]]))
    rmSync(this.#durable, { recursive: true, force: true })
    cpSync(this.rig.directory, this.#durable, { recursive: true })
    for (const name of readdirSync(this.#durable)) {
      if (name.endsWith('-shm')) rmSync(join(this.#durable, name))
    }
  }

  check(): void {
    const { rig, history } = this
    for (const [number, { head, facts, people }] of history.messages) {
      const record = rig.find(head.tenant, head.id)
      assert.ok(record !== null, `message ${number} is unknown`)
      assert.deepEqual(record.facts, facts)
      const first = Math.min(...people.map(({ status }) => recipientStatuses.indexOf(status)))
      assert.equal(record.status, recipientStatuses[first])
      assert.deepEqual(
        record.recipients.map(({ address, status, attempts, mayBeDuplicate, tries }) => ({
          address,
          status,
          attempts,
          mayBeDuplicate,
          tries: tries.map(({ outcome }) => outcome.kind),
        })),
        people.map(({ status, attempts, duplicate, tries }, i) => ({
          address: head.recipients[i],
          status,
          attempts,
          mayBeDuplicate: duplicate,
          tries: tries.slice(-attemptsKeptMax.value),
        })),
      )
      assert.equal(rig.find(head.tenant === 't0' ? 't1' : 't0', head.id), null)
    }
    assert.equal(rig.table.figures().messages, history.messages.size)
    for (const tenant of ['t0', 't1']) {
      this.#checkList(tenant, {}, () => true)
      this.#checkList(tenant, { tag: 'x' }, ({ tags }) => tags.includes('x'))
      this.#checkList(tenant, { recipient: 'user1@example.net' }, (_, { recipients }) =>
        recipients.includes('User1@example.net'),
      )
    }
  }

  #checkList(
    tenant: string,
    query: { tag?: string; recipient?: string },
    has: (facts: SubmissionFacts, head: MessageHead) => boolean,
  ): void {
    const given: string[] = []
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = this.rig.table.list(tenant, { limit: 2, ...query, ...(cursor === undefined ? {} : { cursor }) })
      assert.ok(page.messages.length <= 2)
      given.push(...page.messages.map(({ id }) => id))
      cursor = page.next
    }
    const expected = [...this.history.messages.values()].flatMap(({ head, facts }) =>
      head.tenant === tenant && has(facts, head) ? [head.id] : [],
    )
    assert.deepEqual(given.toSorted(), expected.toSorted())
  }
}

test('whatever happens and comes again, the store knows what its logs say', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
      const ends: (() => void)[] = []
      try {
        const reader = new Reader({ after: (end: () => void) => void ends.push(end) })
        for (const given of steps) reader.run(given)
        reader.check()
        reader.run({ do: 'crash' })
        reader.check()
      } finally {
        for (const end of ends) end()
      }
    }),
    { numRuns: 30 },
  )
})
