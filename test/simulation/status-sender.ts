/** The scheduler's thread of the week: what comes in is admitted, what is granted is tried, what became of it is appended; as src/app/engine.ts does. */
import type { Random } from '../../src/kernel/random.ts'
import { hourMs, minuteMs } from '../../src/kernel/units.ts'
import type { Grant } from '../../src/model/grant.ts'
import type { Attempt } from '../../src/model/outcome.ts'
import type { QueueSink, QueueSource } from '../../src/ports/queue.ts'
import { queueImage, Scheduler, type ShapeAction, type ShapeEvent, slotStates } from '../../src/shape/shape.ts'
import type { Arrival, SpoolPins } from '../../src/spool/spool.ts'
import { domainOf } from '../../src/standards/address.ts'
import type { SpoolRig } from '../support/spool-rig.ts'
import type { Person, StatusLedger } from './status-ledger.ts'
import { answerTo, routeTo, tooMany } from './status-receivers.ts'

const retry = {
  delaysMs: [minuteMs, 10 * minuteMs, hourMs, 2 * hourMs, 4 * hourMs],
  jitter: 0.15,
  expireAfterMs: 72 * hourMs,
}

export interface SenderOptions {
  readonly pins: SpoolPins
  readonly ledger: StatusLedger
  readonly random: Random
  readonly nowMs: () => number
}

export class Sender {
  readonly scheduler: Scheduler
  readonly image: QueueSource & QueueSink
  readonly #options: SenderOptions
  readonly #events: ShapeEvent[] = []
  #underWay: { readonly grant: Grant; readonly endsAtMs: number }[] = []
  #rig: SpoolRig | null = null
  #running = false
  #holding = false

  constructor(options: SenderOptions) {
    this.#options = options
    const { pins, random, nowMs } = options
    this.scheduler = new Scheduler({
      pins,
      retry,
      connectionsMax: 100,
      recipientsPerTransaction: 10,
      random,
      nowMs: nowMs(),
    })
    this.image = queueImage(this.scheduler, nowMs)
  }

  /** Attempts of everyone who waits, by number and recipient. */
  get waiting(): Map<string, number> {
    const { slots } = this.scheduler
    const waiting = new Map<string, number>()
    for (let slot = 0; slot < slots.used; slot++) {
      const state = slots.state[slot]
      if (state === slotStates.free || state === slotStates.dead) continue
      waiting.set(`${slots.number[slot]} ${slots.recipient[slot]}`, slots.attempts[slot] as number)
    }
    return waiting
  }

  /** Once the spool has settled. */
  start(rig: SpoolRig): void {
    this.#rig = rig
    const { outcomes, recovery } = rig.spool
    outcomes.mark('started')
    rig.settle()
    for (const action of this.scheduler.begin(!recovery.stoppedInOrder, this.#options.nowMs())) this.#do(action)
  }

  arrived({ number, place, span, bytes, lifeS, submission }: Arrival): void {
    const { tenant, acceptedAtMs, recipients, id } = submission
    this.#options.ledger.arrived(number, id, true)
    const last = recipients.length - 1
    for (let recipient = 0; recipient <= last; recipient++) {
      const domain = domainOf(recipients[recipient] as string)
      const from = { number, place, span, bytes, lifeS, recipient, domain, tenant, acceptedAtMs }
      const admission = { ...from, attempts: 0, nextAttemptAtMs: 0, mayBeDuplicate: false }
      const event: ShapeEvent = { kind: 'admit', admission, more: recipient < last }
      if (event.more === true) this.#events.push(event)
      else this.#run(event)
    }
  }

  /** Time has passed. */
  tick(): void {
    const nowMs = this.#options.nowMs()
    const over = this.#underWay.filter(({ endsAtMs }) => endsAtMs <= nowMs)
    this.#underWay = this.#underWay.filter(({ endsAtMs }) => endsAtMs > nowMs)
    for (const { grant } of over) this.#report(grant)
    this.#run({ kind: 'tick' })
    const hold = !(this.#rig as SpoolRig).spool.outcomes.hasRoom
    if (hold !== this.#holding) this.#run({ kind: 'hold', hold })
    this.#holding = hold
  }

  #report(grant: Grant): void {
    const { ledger, random, nowMs } = this.#options
    const mail = ledger.of(grant.number)
    const atOnceMax = grant.id % 3 === 0 ? 1 : Number.POSITIVE_INFINITY
    let taken = 0
    const outcomes = grant.recipients.map((recipient, i) => {
      const person = mail.people[recipient] as Person
      if (taken === atOnceMax) return tooMany
      const outcome = answerTo(person.plan, nowMs(), random, `grant ${grant.id}, ${i}, at ${nowMs()}`)
      if (outcome.stage === 'final') taken += 1
      if (outcome.kind === 'delivered' || outcome.kind === 'uncertain') person.received += 1
      return outcome
    })
    this.#run({ kind: 'report', report: { grant, outcomes, attempt: attemptAt(nowMs(), grant) } })
  }

  #run(event: ShapeEvent): void {
    this.#events.push(event)
    if (this.#running) return
    this.#running = true
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift())
      for (const action of this.scheduler.step(next, this.#options.nowMs())) this.#do(action)
    this.#running = false
  }

  #do(action: ShapeAction): void {
    const { random, nowMs } = this.#options
    if (action.kind === 'grant')
      this.#underWay.push({ grant: action.grant, endsAtMs: nowMs() + random.fraction() ** 4 * 20 * minuteMs })
    else if (action.kind === 'settle') this.#settle(action)
    else this.#run({ kind: 'routed', domain: action.domain, answer: routeTo(action.domain) })
  }

  #settle({ number, place, attempt, recipients }: Extract<ShapeAction, { kind: 'settle' }>): void {
    const { ledger, nowMs } = this.#options
    for (const settled of recipients) ledger.tell(number, settled.recipient, settled.attempt, settled.outcome)
    const { outcomes } = (this.#rig as SpoolRig).spool
    outcomes.append(number, { log: 0, place, atMs: nowMs(), attempt, recipients })
  }
}

const attemptAt = (nowMs: number, { site }: Grant): Attempt => ({
  startedAtMs: nowMs - 300,
  host: site.hosts[0]?.host ?? '',
  address: '192.0.2.1:25',
  source: '',
  tls: '',
  reusedConnection: false,
  connectedMs: 10,
  envelopeMs: 20,
  finishedMs: 300,
})
