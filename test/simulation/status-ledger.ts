/**
 * What is true of each message, whatever the store says:
 *
 *   acknowledged              it is found from then on, by its tenant only, by its recipients, and by its key for a day
 *   an attempt was answered   its outcome is never taken back; a recipient's attempts only grow, its status only rises
 *   outcomes are on disk      the answer has all of them
 */
import assert from 'node:assert/strict'
import { hourMs, minuteMs } from '../../src/kernel/units.ts'
import type { Outcome } from '../../src/model/outcome.ts'
import { type MessageRecord, type RecipientRecord, recipientStatuses } from '../../src/ports/message-store.ts'
import type { Plan } from './status-receivers.ts'

/** The store keeps as many of a recipient's attempts. */
const triesKept = 20
/** A clock's step between accepting and acknowledging. */
const slackMs = minuteMs

export interface Person {
  readonly address: string
  readonly plan: Plan
  /** Attempts that were appended, in order; those that a crash has forgotten are taken off again. */
  told: Outcome[]
  /** As the store said the last time. */
  seen: { readonly rank: number; readonly attempts: number; readonly tries: ReadonlyMap<number, string> }
  /** How often a receiver has said that it has it. */
  received: number
}

export interface Mail {
  readonly id: string
  readonly tenant: string
  readonly key: string
  readonly people: readonly Person[]
  readonly acceptedAtMs: number
  acknowledged: boolean
  /** It came in, whether its sender knows or not. */
  here: boolean
  /** And it must stay, because it is on disk or because the store has said that it is here. */
  stays: boolean
  /** Its sender was told that it is not here, and has sent another one. */
  denied: boolean
  statusSeen: number
}

export const newPerson = (address: string, plan: Plan): Person => ({
  address,
  plan,
  told: [],
  seen: { rank: 0, attempts: 0, tries: new Map() },
  received: 0,
})

const isEnd = ({ kind }: Outcome): boolean => kind !== 'deferred' && kind !== 'uncertain'
const rankOf = (status: RecipientRecord['status']): number => recipientStatuses.indexOf(status)

export class StatusLedger {
  /** By id, in order of their sending. */
  readonly mail = new Map<string, Mail>()
  readonly ids = new Map<number, string>()
  asked = 0

  of(number: number): Mail {
    const mail = this.mail.get(this.ids.get(number) ?? '')
    assert.ok(mail !== undefined, `nobody sent message ${number}`)
    return mail
  }

  /** It is on disk, or it was found there after a crash and may yet be forgotten by the next one. */
  arrived(number: number, id: string, forGood: boolean): void {
    this.ids.set(number, id)
    const mail = this.of(number)
    assert.ok(!mail.denied, `message ${id} has come although its sender was told that it had not`)
    mail.here = true
    mail.stays ||= forGood
  }

  /** Before the first look at what a crash has left. */
  crashed(): void {
    for (const mail of this.mail.values()) mail.here = mail.stays
  }

  /** What was found is on disk for good. */
  settled(): void {
    for (const mail of this.mail.values()) mail.stays = mail.here
  }

  /** Attempt `attempt` of a recipient has come to its end. */
  tell(number: number, recipient: number, attempt: number, outcome: Outcome): void {
    const { told } = this.of(number).people[recipient] as Person
    told.splice(attempt - 1)
    assert.equal(told.length, attempt - 1, 'attempts come in order')
    told.push(outcome)
  }

  /** After a crash: the attempts that the queue knows of everyone who still waits; everyone else has come to an end. */
  restored(waiting: ReadonlyMap<string, number>): void {
    for (const [number, id] of this.ids) {
      const { people, here } = this.mail.get(id) as Mail
      if (!here) continue
      for (const [i, person] of people.entries()) {
        const attempts = waiting.get(`${number} ${i}`)
        const last = person.told.at(-1)
        if (attempts === undefined) assert.ok(last !== undefined && isEnd(last), `message ${id} lost a recipient`)
        else person.told.splice(attempts)
      }
    }
  }

  /** `whole`: all outcomes are on disk. */
  check(mail: Mail, record: MessageRecord | null, whole: boolean): void {
    this.asked += 1
    assert.ok(record !== null, `acknowledged message ${mail.id} is unknown`)
    mail.stays = true
    assert.equal(record.tenant, mail.tenant)
    assert.equal(record.recipients.length, mail.people.length)
    const status = rankOf(record.status)
    assert.ok(status >= mail.statusSeen, `message ${mail.id} was ${mail.statusSeen}, and is ${record.status}`)
    mail.statusSeen = status
    for (const [i, person] of mail.people.entries()) {
      const found = record.recipients[i] as RecipientRecord
      assert.equal(found.address, person.address)
      neverBack(mail, person, found)
      if (whole) isTrue(mail, person, found)
    }
  }

  /** What must be known of a key now. */
  checkKey(tenant: string, key: string, found: { id: string; requestSha256: string } | null, nowMs: number): void {
    let newest: Mail | null = null
    for (const mail of this.mail.values()) if (mail.tenant === tenant && mail.key === key && mail.here) newest = mail
    const ageMs = newest === null ? Number.POSITIVE_INFINITY : nowMs - newest.acceptedAtMs
    if (ageMs < 24 * hourMs - slackMs) {
      assert.equal(found?.id, newest?.id, `the key of message ${newest?.id}`)
      assert.equal(found?.requestSha256, hashOf(newest as Mail))
    } else if (ageMs > 24 * hourMs + slackMs) assert.equal(found, null, 'a key stands for a day')
  }

  /** A week later. */
  checkEnd(): void {
    for (const { id, here, people } of this.mail.values()) {
      if (!here) continue
      for (const { told, received, address, plan } of people) {
        const last = told.at(-1)
        assert.ok(last !== undefined && isEnd(last), `message ${id} still waits for ${address} (${plan.kind})`)
        if (last.kind === 'delivered') assert.ok(received > 0, `message ${id} was never received by ${address}`)
      }
    }
  }
}

export const hashOf = ({ id, key }: Pick<Mail, 'id' | 'key'>): string => (key === '' ? '' : `sha256 of ${id}`)

function neverBack({ id }: Mail, person: Person, { status, attempts, tries }: RecipientRecord): void {
  const rank = rankOf(status)
  const { seen } = person
  const who = `${person.address} of message ${id}`
  const told = new Map(tries.map(({ number, outcome }) => [number, `${outcome.kind}: ${outcome.text}`]))
  assert.ok(rank >= seen.rank, `${who} was ${recipientStatuses[seen.rank]}, and is ${status}`)
  assert.ok(seen.rank < 2 || rank === seen.rank, `${who} has come to two ends`)
  assert.ok(attempts >= seen.attempts, `${who} had ${seen.attempts} attempts, and has ${attempts}`)
  assert.equal(tries.length, Math.min(attempts, triesKept), `attempts of ${who} that are kept`)
  for (const [number, text] of told) {
    const before = seen.tries.get(number)
    assert.ok(before === undefined || before === text, `attempt ${number} of ${who} was "${before}", and is "${text}"`)
  }
  person.seen = { rank, attempts, tries: told }
}

function isTrue({ id }: Mail, { address, told }: Person, { status, attempts, tries }: RecipientRecord): void {
  const who = `${address} of message ${id}`
  const last = told.at(-1)
  const expected = last === undefined ? 'queued' : isEnd(last) ? last.kind : 'deferred'
  assert.equal(status, expected, `the status of ${who}`)
  assert.equal(attempts, told.length, `attempts of ${who}`)
  assert.deepEqual(
    tries.map(({ outcome }) => outcome.text),
    told.slice(-triesKept).map(({ text }) => text),
    `attempts of ${who}`,
  )
}
