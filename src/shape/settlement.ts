/**
 * What becomes of recipients: after an attempt, where no attempt could be made, and when their time is up. The outcome log is told, and whoever has no end
 * yet waits for the next attempt.
 */
import { minuteMs } from '../kernel/units.ts'
import { type Attempt, noAttempt, type Outcome } from '../model/outcome.ts'
import type { Actions } from './events.ts'
import { type Flow, shiftSlot } from './flows.ts'
import { attemptsMax } from './limits.ts'
import type { Recipients } from './recipients.ts'
import type { RetrySchedule } from './retry.ts'
import { mayBeDuplicateFlag, slotStates } from './slots.ts'
import { judge, type SettledRecipient } from './verdict.ts'

/** So many recipients of one submission share a record of the outcome log when no transaction bounds them. */
const groupSize = 1_000

export class Settlement {
  readonly #recipients: Recipients
  readonly #retry: RetrySchedule
  readonly #actions: Actions

  constructor(recipients: Recipients, retry: RetrySchedule, actions: Actions) {
    this.#recipients = recipients
    this.#retry = retry
    this.#actions = actions
  }

  /** Decides what the outcome means for each slot of one submission, tells the log, and files or frees the slot. */
  settle(
    number: number,
    attempt: Attempt,
    settled: readonly number[],
    outcomes: readonly Outcome[],
    nowMs: number,
  ): void {
    const { slots } = this.#recipients
    const recipients: SettledRecipient[] = []
    const place = slots.place[settled[0] as number] as number
    for (let i = 0; i < settled.length; i++) {
      const slot = settled[i] as number
      const outcome = outcomes[i] as Outcome
      const tried = {
        recipient: slots.recipient[slot] as number,
        attempts: slots.attempts[slot] as number,
        acceptedAtMs: slots.acceptedAtMs[slot] as number,
        lifeS: slots.lifeS[slot] as number,
        mayBeDuplicate: slots.flags[slot] === mayBeDuplicateFlag,
      }
      const nextAtMs = judge(tried, outcome, this.#retry, nowMs, recipients)
      if (nextAtMs === 0) {
        this.#recipients.release(slot)
        continue
      }
      if (outcome.kind === 'uncertain') this.#recipients.mayBeDuplicate(slot)
      this.#recipients.defer(slot, nextAtMs)
    }
    this.#actions.push({ kind: 'settle', number, place, attempt, recipients })
  }

  /** The same where nothing was tried. */
  settleUntried(slots: readonly number[], outcome: Outcome, nowMs: number): void {
    const number = this.#recipients.slots.number[slots[0] as number] as number
    const outcomes = slots.map(() => outcome)
    this.settle(number, noAttempt(nowMs), slots, outcomes, nowMs)
  }

  /** Everything in a flow whose domain leads nowhere. */
  failFlow(flow: Flow, outcome: Outcome, nowMs: number): void {
    const { slots } = this.#recipients
    const queue = flow.destination.queue
    if (queue !== null) queue.queued -= flow.size
    const failed: number[] = []
    while (flow.size > 0) {
      const slot = shiftSlot(flow, slots)
      if (!this.#recipients.buryDead(slot)) failed.push(slot)
    }
    for (let from = 0; from < failed.length; ) {
      const number = slots.number[failed[from] as number]
      let to = from
      while (to < failed.length && slots.number[failed[to] as number] === number && to - from < groupSize) to += 1
      this.settleUntried(failed.slice(from, to), outcome, nowMs)
      from = to
    }
  }

  /** By column, so that it reaches paused and blocked mail too. What is in flight has its answer soon. */
  sweepExpired(nowMs: number): void {
    const { slots } = this.#recipients
    // One attempt is due exactly at expiry: a grace of a minute lets it happen.
    const graceFromMs = nowMs - minuteMs
    for (let slot = 0; slot < slots.used; slot++) {
      const state = slots.state[slot]
      if (state !== slotStates.ready && state !== slotStates.deferred) continue
      const lifeMs = this.#retry.lifeMs(slots.lifeS[slot] as number)
      if ((slots.acceptedAtMs[slot] as number) + lifeMs <= graceFromMs) this.#expire(slot, nowMs)
    }
  }

  #expire(slot: number, nowMs: number): void {
    const { slots } = this.#recipients
    this.#recipients.die(slot)
    const recipient = slots.recipient[slot] as number
    const attempts = slots.attempts[slot] as number
    const attempt = Math.min(attempts + 1, attemptsMax.value)
    const outcome = this.#retry.expired(attempts, slots.lifeS[slot] as number, '')
    const mayBeDuplicate = slots.flags[slot] === mayBeDuplicateFlag
    this.#actions.push({
      kind: 'settle',
      number: slots.number[slot] as number,
      place: slots.place[slot] as number,
      attempt: noAttempt(nowMs),
      recipients: [{ recipient, attempt, outcome, nextAttemptAtMs: 0, mayBeDuplicate }],
    })
  }
}
