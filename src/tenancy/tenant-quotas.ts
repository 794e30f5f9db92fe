/** Port `quotas` in a thread that serves clients: who has which limits, as the directory says, over the table that all threads share. */
import { failures } from '../model/failures.ts'
import { formatBytes, secondMs } from '../kernel/units.ts'
import type { Client } from '../ports/clients.ts'
import type { DirectorySnapshot, IntakeQuota, IntakeTenant } from '../ports/directory.ts'
import {
  nothingTaken,
  type QuotaRefusal,
  type Quotas,
  type RateState,
  type Taken,
  type TakenPart,
} from '../ports/quotas.ts'
import { day, month, type QuotaTable, second, type Window, windows } from './quotas.ts'

/** A row with what it is of, in words. */
interface Limited extends IntakeQuota {
  readonly whose: 'tenant' | 'key' | 'login'
}

interface Tenant {
  readonly own: Limited | null
  readonly credentials: ReadonlyMap<string, Limited>
}

const spoolRetrySeconds = 30

export class TenantQuotas implements Quotas {
  readonly #table: QuotaTable
  /** Those with quotas: nearly everybody is looked for here in vain. */
  readonly #tenants = new Map<string, Tenant>()

  constructor(table: QuotaTable, { intake }: Pick<DirectorySnapshot, 'intake'>) {
    this.#table = table
    for (const tenant of intake) this.put(tenant)
  }

  /** In the place of what it was. */
  put({ id, quota, keys, logins }: IntakeTenant): void {
    const credentials = new Map<string, Limited>()
    for (const key of keys) if (key.quota !== undefined) credentials.set(key.id, { ...key.quota, whose: 'key' })
    for (const login of logins)
      if (login.quota !== undefined) credentials.set(login.id, { ...login.quota, whose: 'login' })
    const own: Limited | null = quota === undefined ? null : { ...quota, whose: 'tenant' }
    if (own === null && credentials.size === 0) this.#tenants.delete(id)
    else this.#tenants.set(id, { own, credentials })
  }

  check(client: Client, messages: number): QuotaRefusal | null {
    const limited = this.#of(client)
    if (limited.length === 0) return null
    const refusal = this.#notNow(limited)
    if (refusal !== null) return refusal
    for (const window of windows) {
      for (const one of limited) {
        const limit = limitOf(one, window)
        if (limit > 0 && (this.#table.count(one.row, window) ?? 0) + messages > limit)
          return this.#usedUp(one, window, messages)
      }
    }
    return null
  }

  take(client: Client, messages: number): Taken | QuotaRefusal {
    const limited = this.#of(client)
    if (limited.length === 0) return nothingTaken
    const refusal = this.#notNow(limited)
    if (refusal !== null) return refusal
    const parts: TakenPart[] = []
    for (const window of windows) {
      for (const one of limited) {
        const part = this.#table.take(one.row, window, messages, limitOf(one, window))
        if (part === null) {
          this.giveBack({ messages, parts })
          return this.#usedUp(one, window, messages)
        }
        if (part !== undefined) parts.push(part)
      }
    }
    return { messages, parts }
  }

  giveBack({ messages, parts }: Taken): void {
    for (const part of parts) this.#table.giveBack(part, messages)
  }

  remaining(client: Client): RateState | null {
    let fewest: RateState | null = null
    for (const one of this.#of(client)) {
      for (const window of windows) {
        if (limitOf(one, window) === 0) continue
        const state = this.#stateOf(one, window)
        const tighter =
          fewest === null ||
          state.remaining < fewest.remaining ||
          (state.remaining === fewest.remaining && state.resetSeconds > fewest.resetSeconds)
        if (tighter) fewest = state
      }
    }
    return fewest
  }

  #of({ tenant, credentialId }: Client): readonly Limited[] {
    const found = this.#tenants.get(tenant)
    if (found === undefined) return nobody
    const credential = credentialId === undefined ? undefined : found.credentials.get(credentialId)
    if (found.own === null) return credential === undefined ? nobody : [credential]
    return credential === undefined ? [found.own] : [found.own, credential]
  }

  /** What refuses however few they are. */
  #notNow(limited: readonly Limited[]): QuotaRefusal | null {
    for (const { row, limits } of limited) {
      const { messagesPerDay, messagesPerMonth, spoolBytes, spoolRecipients } = limits
      if ((messagesPerDay > 0 || messagesPerMonth > 0) && !this.#table.isLoaded(row)) return beingCounted
      const bytes = this.#table.waitingBytes(row)
      if (spoolBytes > 0 && bytes >= spoolBytes)
        return spoolFull(`${formatBytes(spoolBytes)} of mail that waits to be delivered, and has ${formatBytes(bytes)}`)
      const recipients = this.#table.waitingRecipients(row)
      if (spoolRecipients > 0 && recipients >= spoolRecipients)
        return spoolFull(
          `${count(spoolRecipients)} recipients that wait to be delivered to, and has ${count(recipients)}`,
        )
    }
    return null
  }

  #stateOf(one: Limited, window: Window): RateState {
    const limit = limitOf(one, window)
    return {
      limit,
      remaining: Math.max(0, limit - (this.#table.count(one.row, window) ?? 0)),
      resetSeconds: Math.max(1, Math.ceil((this.#table.endMs(one.row, window) - this.#table.nowMs) / secondMs)),
    }
  }

  #usedUp(one: Limited, window: Window, messages: number): QuotaRefusal {
    const state = this.#stateOf(one, window)
    const { limit, remaining } = state
    const quota = `the quota of this ${one.whose} is ${count(limit)} message${limit === 1 ? '' : 's'} a ${window.name}`
    if (messages > limit) {
      return {
        failure: failures.quotaExceeded(`${quota}, and these are ${count(messages)} at once: send fewer at a time`),
        cure: `Send it in several requests, of ${count(limit)} recipients at most.`,
        state,
        retryAfterSeconds: state.resetSeconds,
      }
    }
    const until = new Date(this.#table.endMs(one.row, window)).toISOString().replace('.000Z', 'Z')
    return {
      failure: failures.quotaExceeded(`${quota}, ${count(remaining)} of them are left until ${until}`),
      cure: 'Wait as Retry-After says, or have the quota raised.',
      state,
      retryAfterSeconds: state.resetSeconds,
    }
  }
}

const nobody: readonly Limited[] = []

const beingCounted: QuotaRefusal = {
  failure: failures.usageUnknown,
  cure: 'Send it again in a second.',
  state: null,
  retryAfterSeconds: 1,
}

/** `have`: what it may have, and what it has. */
function spoolFull(have: string): QuotaRefusal {
  return {
    failure: failures.spoolQuotaFull(`the spool quota of this tenant is ${have}: try again later`),
    cure: 'Wait until some of the tenant’s mail has been delivered, or have the quota raised.',
    state: null,
    retryAfterSeconds: spoolRetrySeconds,
  }
}

/** 0: none. */
function limitOf({ limits }: Limited, window: Window): number {
  if (window === second) return limits.messagesPerSecond
  if (window === day) return limits.messagesPerDay
  return window === month ? limits.messagesPerMonth : 0
}

const count = (value: number): string => value.toLocaleString('en-US')
