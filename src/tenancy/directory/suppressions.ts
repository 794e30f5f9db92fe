/** Whom tenants send nothing: lists of addresses, and how long they are, so that nobody counts millions of rows. */
import { type Kysely, sql } from 'kysely'
import type { Clock } from '../../kernel/clock.ts'
import { PosthasteError } from '../../kernel/errors.ts'
import { outcomeTextMax } from '../../model/limits.ts'
import { InvalidValue } from '../../ports/directory.ts'
import type {
  DeadAddress,
  Suppression,
  SuppressionList,
  SuppressionNews,
  SuppressionQuery,
  SuppressionReason,
} from '../../ports/suppression-list.ts'
import { suppressionAddress } from '../../ports/suppressions.ts'
import { suppressionBatchMax, suppressionsInAllMax, suppressionsMax } from './limits.ts'
import type { DirectoryDatabase, DirectorySchema, DirectoryTransaction, SuppressionRow } from './schema.ts'
import { findTenant } from './tenants.ts'
import { address as readAddress, note } from './values.ts'

export interface SuppressionOptions {
  readonly db: DirectoryDatabase
  readonly clock: Clock
  /** Tenants of the configuration file. */
  readonly fileNames: ReadonlySet<string>
  /** Has the changes of the directory run one at a time. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>
}

type Listener = (news: readonly SuppressionNews[]) => void | Promise<void>

export class SqlSuppressions implements SuppressionList {
  readonly #options: SuppressionOptions
  readonly #listeners = new Set<Listener>()

  constructor(options: SuppressionOptions) {
    this.#options = options
  }

  async tenantOf(called: string): Promise<string> {
    const { db, fileNames } = this.#options
    if (called === '') return await onlyTenant(db, fileNames)
    if (fileNames.has(called)) return called
    const list = await db.selectFrom('suppression_counts').select('tenant').where('tenant', '=', called).execute()
    return list[0]?.tenant ?? (await findTenant(db, called, fileNames)).id
  }

  async suppress(dead: readonly DeadAddress[]): Promise<{ added: Suppression[]; refused: DeadAddress[] }> {
    const added: Suppression[] = []
    const refused: DeadAddress[] = []
    for (let from = 0; from < dead.length; from += suppressionBatchMax.value) {
      const batch = dead.slice(from, from + suppressionBatchMax.value)
      await this.#options.inTurn(async () => {
        const result = await this.#commit((trx, nowMs) => addDead(trx, batch, nowMs))
        added.push(...result.added)
        refused.push(...result.refused)
        await this.#announce(result.added, true)
      })
    }
    return { added, refused }
  }

  async suppressByHand(
    tenant: string,
    addresses: readonly string[],
    { detail, createdBy }: { readonly detail: string; readonly createdBy: string },
  ): Promise<{ added: Suppression[]; known: number }> {
    refuseLong(addresses)
    const kept = detail === '' ? '' : note('/detail', detail, outcomeTextMax)
    const asked = addresses.map((written, index) => {
      const seen = written.trim()
      return { seen, address: suppressionAddress(readAddress(`/addresses/${index}`, seen)) }
    })
    return await this.#options.inTurn(async () => {
      const result = await this.#commit((trx, nowMs) =>
        addByHand(
          trx,
          asked.map(({ seen, address }) => ({
            tenant,
            address,
            address_seen: seen,
            reason: 'manual',
            detail: kept,
            message_id: '',
            created_ms: nowMs,
            created_by: createdBy,
          })),
        ),
      )
      await this.#announce(result.added, true)
      return result
    })
  }

  async unsuppress(
    tenant: string,
    addresses: readonly string[],
  ): Promise<{ removed: Suppression[]; unknown: string[] }> {
    refuseLong(addresses)
    const forms = new Map(addresses.map((written) => [suppressionAddress(written.trim()), written]))
    return await this.#options.inTurn(async () => {
      const removed = await this.#commit((trx) => remove(trx, tenant, [...forms.keys()]))
      await this.#announce(removed, false)
      for (const { address } of removed) forms.delete(address)
      return { removed, unknown: [...forms.values()] }
    })
  }

  async list(tenant: string, query: SuppressionQuery): Promise<{ entries: Suppression[]; total: number }> {
    const { db } = this.#options
    const { after, prefix, reason, count } = query
    const begins = prefix === undefined || prefix === '' ? null : prefix.trim().normalize('NFC').toLowerCase()
    const rows = await db
      .selectFrom('suppressions')
      .selectAll()
      .where('tenant', '=', tenant)
      .$if(reason !== undefined, (asked) => asked.where('reason', '=', reason as string))
      .$if(after !== undefined, (asked) => asked.where('address', '>', after as string))
      .$if(begins !== null, (asked) =>
        asked.where('address', '>=', begins as string).where('address', '<', `${begins}\u{10ffff}`),
      )
      .orderBy('address')
      .limit(Math.min(count ?? suppressionBatchMax.value, suppressionBatchMax.value))
      .execute()
    return { entries: rows.map(suppressionOf), total: await countOf(db, tenant) }
  }

  async each(visit: (tenant: string, address: string) => void): Promise<void> {
    const { db } = this.#options
    let last = { tenant: '', address: '' }
    for (;;) {
      const behind = sql<boolean>`(tenant, address) > (${last.tenant}, ${last.address})`
      const page = db.selectFrom('suppressions').select(['tenant', 'address']).where(behind)
      const rows = await page.orderBy('tenant').orderBy('address').limit(pageRows).execute()
      for (const { tenant, address } of rows) visit(tenant, address)
      if (rows.length < pageRows) return
      last = rows.at(-1) ?? last
    }
  }

  onNews(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  #commit<T>(work: (trx: DirectoryTransaction, nowMs: number) => Promise<T>): Promise<T> {
    const { db, clock } = this.#options
    return db.transaction().execute((trx) => work(trx, clock.nowMs()))
  }

  /** Every listener hears of it, even when an earlier one fails; then so does the caller. */
  async #announce(entries: readonly Suppression[], suppressed: boolean): Promise<void> {
    if (entries.length === 0) return
    const news = entries.map(({ tenant, address }) => ({ tenant, address, suppressed }))
    const heard = await Promise.allSettled([...this.#listeners].map(async (listener) => await listener(news)))
    const failure = heard.find((outcome) => outcome.status === 'rejected')
    if (failure === undefined) return
    const message = `the change is kept, but not everything has taken it: ${String(failure.reason)}`
    const cure = 'It is on disk. Restart posthaste if it does not take effect.'
    throw new PosthasteError('directory_not_heard', message, cure, { cause: failure.reason })
  }
}

/** 5,000 × 300 B; a million entries are 200 pages of some 10 ms. */
const pageRows = 5_000

/** So many parameters of one statement are far below what SQLite and PostgreSQL take. */
const rowsPerInsert = 500

function suppressionOf(row: SuppressionRow): Suppression {
  return {
    tenant: row.tenant,
    address: row.address,
    addressSeen: row.address_seen,
    reason: row.reason as SuppressionReason,
    detail: row.detail,
    messageId: row.message_id,
    createdMs: row.created_ms,
    createdBy: row.created_by,
  }
}

/** Those that can be added are; the rest of a tenant's, in their order, are refused. */
async function addDead(
  trx: DirectoryTransaction,
  dead: readonly DeadAddress[],
  nowMs: number,
): Promise<{ added: Suppression[]; refused: DeadAddress[] }> {
  const added: Suppression[] = []
  const refused: DeadAddress[] = []
  let roomForAll = suppressionsInAllMax.value - (await countOfAll(trx))
  for (const [tenant, group] of Map.groupBy(dead, (one) => one.tenant)) {
    const byForm = new Map(group.toReversed().map((one) => [suppressionAddress(one.address), one]))
    for (const known of (await those(trx, tenant, [...byForm.keys()])).keys()) byForm.delete(known)
    const room = Math.min(roomForAll, suppressionsMax.value - (await countOf(trx, tenant)))
    const rows: SuppressionRow[] = []
    for (const [form, { address, detail, messageId }] of byForm) {
      if (rows.length >= room) break
      rows.push({
        tenant,
        address: form,
        address_seen: address,
        reason: 'hard_bounce',
        detail: detail.slice(0, outcomeTextMax.value),
        message_id: messageId,
        created_ms: nowMs,
        created_by: 'engine',
      })
    }
    refused.push(...[...byForm.values()].slice(rows.length))
    await insert(trx, tenant, rows)
    roomForAll -= rows.length
    added.push(...rows.map(suppressionOf))
  }
  return { added, refused }
}

async function addByHand(
  trx: DirectoryTransaction,
  asked: readonly SuppressionRow[],
): Promise<{ added: Suppression[]; known: number }> {
  const tenant = asked[0]?.tenant ?? ''
  const byForm = new Map(asked.map((row) => [row.address, row]))
  const known = await those(trx, tenant, [...byForm.keys()])
  for (const [form, { reason }] of known) {
    const row = byForm.get(form) as SuppressionRow
    byForm.delete(form)
    if (reason !== 'manual') await takeOver(trx, row)
  }
  const rows = [...byForm.values()]
  const count = await countOf(trx, tenant)
  if (count + rows.length > suppressionsMax.value) throw tooMany(`this tenant’s list has ${count} entries`)
  const all = await countOfAll(trx)
  if (all + rows.length > suppressionsInAllMax.value) throw tooMany(`the lists of all tenants have ${all} entries`)
  await insert(trx, tenant, rows)
  return { added: rows.map(suppressionOf), known: known.size }
}

/** From now on it is a person's. What the receiver said is still true. */
async function takeOver(
  trx: DirectoryTransaction,
  { tenant, address, detail, created_by }: SuppressionRow,
): Promise<void> {
  await trx
    .updateTable('suppressions')
    .set({ reason: 'manual', created_by, ...(detail === '' ? {} : { detail }) })
    .where('tenant', '=', tenant)
    .where('address', '=', address)
    .execute()
}

async function remove(trx: DirectoryTransaction, tenant: string, forms: readonly string[]): Promise<Suppression[]> {
  const known = [...(await those(trx, tenant, forms)).values()]
  if (known.length === 0) return []
  await trx
    .deleteFrom('suppressions')
    .where('tenant', '=', tenant)
    .where(
      'address',
      'in',
      known.map(({ address }) => address),
    )
    .execute()
  await addToCount(trx, tenant, -known.length)
  return known.map(suppressionOf)
}

async function insert(trx: DirectoryTransaction, tenant: string, rows: readonly SuppressionRow[]): Promise<void> {
  if (rows.length === 0) return
  for (let from = 0; from < rows.length; from += rowsPerInsert)
    await trx
      .insertInto('suppressions')
      .values(rows.slice(from, from + rowsPerInsert))
      .execute()
  await addToCount(trx, tenant, rows.length)
}

/** Those of the forms that are on the list. */
async function those(
  trx: DirectoryTransaction,
  tenant: string,
  forms: readonly string[],
): Promise<Map<string, SuppressionRow>> {
  if (forms.length === 0) return new Map()
  const rows = trx.selectFrom('suppressions').selectAll().where('tenant', '=', tenant).where('address', 'in', forms)
  return new Map((await rows.execute()).map((row) => [row.address, row]))
}

/** A list that has become empty has no row. */
async function addToCount(trx: DirectoryTransaction, tenant: string, more: number): Promise<void> {
  const entries = (await countOf(trx, tenant)) + more
  await trx.deleteFrom('suppression_counts').where('tenant', '=', tenant).execute()
  if (entries > 0) await trx.insertInto('suppression_counts').values({ tenant, entries }).execute()
}

async function countOf(db: Kysely<DirectorySchema>, tenant: string): Promise<number> {
  const row = db.selectFrom('suppression_counts').select('entries').where('tenant', '=', tenant)
  return (await row.executeTakeFirst())?.entries ?? 0
}

async function countOfAll(db: Kysely<DirectorySchema>): Promise<number> {
  const all = db.selectFrom('suppression_counts').select((of) => of.fn.sum('entries').as('entries'))
  return Number((await all.executeTakeFirst())?.entries ?? 0)
}

async function onlyTenant(db: DirectoryDatabase, fileNames: ReadonlySet<string>): Promise<string> {
  const ofDirectory = await db.selectFrom('tenants').select('id').limit(2).execute()
  const tenants = [...fileNames, ...ofDirectory.map(({ id }) => id)]
  if (tenants.length === 1) return tenants[0] as string
  const what = tenants.length === 0 ? 'there is no tenant yet' : 'there are several tenants, and each has its own list'
  throw new PosthasteError('tenant_needed', what, 'Name one: --tenant, or tenant in a request, with a name or an id.')
}

function refuseLong(addresses: readonly string[]): void {
  if (addresses.length <= suppressionBatchMax.value) return
  throw new InvalidValue(
    '/addresses',
    `there are ${addresses.length} addresses`,
    `Send ${suppressionBatchMax.value} at most, and the others after them.`,
  )
}

function tooMany(message: string): PosthasteError {
  return new PosthasteError(
    'suppressions_too_many',
    `${message}, and so many more do not fit: nothing was added`,
    'Remove some (posthaste suppression remove).',
  )
}
