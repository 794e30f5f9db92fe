/**
 * The directory of tenants: port `directory` over SQL, with all that threads need of it in memory.
 *
 *   in   a database that nobody else opens, and calls of the admin API
 *   out  rows on disk, a snapshot of them, and each change of it
 *
 * Always true:
 *   1. Changes run one at a time, each in a transaction. Memory follows after the commit; a change that fails leaves both as they were.
 *   2. What a snapshot says of a tenant was read in the transaction that changed it.
 *   3. A call that changes something settles after every listener has taken the change.
 *   4. Every query names its tenant, except the list of tenants, what is unique among all of them, and the loading at start.
 *
 * Only the engine opens the database: a second opener is refused (adapters/embedded/sqlite.ts), and the CLI asks the admin API.
 */
import type { TenantConfig } from '../../config/compiled.ts'
import type { Clock } from '../../kernel/clock.ts'
import { PosthasteError } from '../../kernel/errors.ts'
import { uuidV7 } from '../../kernel/ids.ts'
import type { Random } from '../../kernel/random.ts'
import type { QuotaLimits } from '../../ports/quotas.ts'
import type {
  ApiKey,
  Directory,
  DirectoryChange,
  DirectorySnapshot,
  NewDomain,
  NewKey,
  NewLogin,
  NewStream,
  QuotaOwner,
  SendingDomain,
  SmtpLogin,
  SourceNetwork,
  Stream,
  Tenant,
  VerifiedSender,
  Withdrawal,
} from '../../ports/directory.ts'
import type { Change } from './change.ts'
import { type MakePrivateKey, makeRsaKey } from './domain-keys.ts'
import { addDomain, listDomains, proveDomainKey, removeDomain, rotateDomainKey, verifyDomain } from './domains.ts'
import { createKey, listKeys, revokeKey } from './keys.ts'
import { changesWaitingMax, domainKeysInMakingMax, pageTenantsMax } from './limits.ts'
import { createLogin, listLogins, revokeLogin } from './logins.ts'
import { migrate } from './migrations.ts'
import { addNetwork, listNetworks, removeNetwork } from './networks.ts'
import type { QuotaRows } from '../quota-rows.ts'
import { getQuota, setQuota } from './quotas.ts'
import type { DirectoryDatabase } from './schema.ts'
import { addSender, confirmSender, listSenders, removeSender, tenantOfLink } from './senders.ts'
import { loadParts, type TenantParts } from './snapshot.ts'
import { changeStream, createStream, listStreams, removeStream } from './streams.ts'
import { SqlSuppressions } from './suppressions.ts'
import { createTenant, findTenant, listTenants, renameTenant, suspendTenant, tenantOf, tenantRow } from './tenants.ts'
import { domain as readDomain } from './values.ts'

export type { DirectorySchema } from './schema.ts'

export interface DirectoryOptions {
  readonly clock: Clock
  readonly random: Random
  /** Those of the configuration file: their names and users are taken. */
  readonly fileTenants: readonly TenantConfig[]
  /** Where what is used of quotas is counted. */
  readonly quotaRows: QuotaRows
  /** Default makeRsaKey. */
  readonly makePrivateKey?: MakePrivateKey
}

/** Brings the database up to date and loads it. It is closed by the directory's `close`, or here when this fails (`directory_newer`). */
export async function openDirectory(db: DirectoryDatabase, options: DirectoryOptions): Promise<Directory> {
  try {
    await migrate(db, options.clock)
    const secret = await domainSecret(db, options.random)
    return new SqlDirectory(db, options, secret, await loadParts(db, null, options.quotaRows))
  } catch (error) {
    await db.destroy()
    throw error
  }
}

/** Made once; whoever knew it could tell the records of domains, and still not publish them. */
async function domainSecret(db: DirectoryDatabase, random: Random): Promise<string> {
  const name = 'domain_secret'
  const known = await db.selectFrom('settings').select('value').where('name', '=', name).executeTakeFirst()
  if (known !== undefined) return known.value
  const bytes = Buffer.alloc(32)
  random.fill(bytes)
  const value = bytes.toString('hex')
  await db.insertInto('settings').values({ name, value }).execute()
  return value
}

function busy(message: string): PosthasteError {
  return new PosthasteError('directory_busy', message, 'Try again in a few seconds.', { exitCode: 75 })
}

type Listener = (change: DirectoryChange) => void | Promise<void>

class SqlDirectory implements Directory {
  readonly suppressions: SqlSuppressions
  readonly #db: DirectoryDatabase
  readonly #clock: Clock
  readonly #random: Random
  readonly #fileNames: ReadonlySet<string>
  readonly #fileUsers: ReadonlySet<string>
  readonly #domainSecret: string
  readonly #parts: Map<string, TenantParts>
  readonly #quotaRows: QuotaRows
  readonly #listeners = new Set<Listener>()
  #snapshot: DirectorySnapshot | null = null
  #version = 1
  #changesWaiting = 0
  #lastChange: Promise<unknown> = Promise.resolve()
  readonly #makePrivateKey: MakePrivateKey
  #keysInMaking = 0
  #closed = false

  constructor(db: DirectoryDatabase, options: DirectoryOptions, secret: string, parts: Map<string, TenantParts>) {
    this.#db = db
    this.#clock = options.clock
    this.#random = options.random
    this.#fileNames = new Set(options.fileTenants.map(({ name }) => name))
    this.#fileUsers = new Set(options.fileTenants.flatMap(({ logins }) => logins.map(({ user }) => user)))
    this.#domainSecret = secret
    this.#makePrivateKey = options.makePrivateKey ?? makeRsaKey
    this.#parts = parts
    const { clock } = options
    const inTurn = <T>(work: () => Promise<T>): Promise<T> => this.#inTurn(work)
    this.suppressions = new SqlSuppressions({ db, clock, fileNames: this.#fileNames, inTurn })
    this.#quotaRows = options.quotaRows
    // No thread works by an earlier one.
    for (const { intake } of parts.values()) this.#quotaRows.settle(intake, true)
  }

  get version(): number {
    return this.#version
  }

  snapshot(): DirectorySnapshot {
    if (this.#snapshot === null) {
      const parts = [...this.#parts.values()]
      this.#snapshot = {
        version: this.#version,
        intake: parts.map(({ intake }) => intake),
        preparing: parts.map(({ preparing }) => preparing),
      }
    }
    return this.#snapshot
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  createTenant(name: string): Promise<Tenant> {
    return this.#change(this.#newId(), (change) => createTenant(change, name, this.#fileNames))
  }

  listTenants(page: { readonly after?: string; readonly count?: number } = {}): Promise<Tenant[]> {
    return listTenants(this.#db, page.after ?? '', page.count ?? pageTenantsMax.value)
  }

  async getTenant(tenantId: string): Promise<Tenant> {
    return tenantOf(await tenantRow(this.#db, tenantId))
  }

  async findTenant(idOrName: string): Promise<Tenant> {
    return tenantOf(await findTenant(this.#db, idOrName, this.#fileNames))
  }

  renameTenant(tenantId: string, name: string): Promise<Tenant> {
    return this.#change(tenantId, (change) => renameTenant(change, name, this.#fileNames))
  }

  suspendTenant(tenantId: string): Promise<Withdrawal<Tenant>> {
    return this.#withdraw(tenantId, (change) => suspendTenant(change, true))
  }

  resumeTenant(tenantId: string): Promise<Tenant> {
    return this.#change(tenantId, (change) => suspendTenant(change, false))
  }

  createKey(tenantId: string, key: NewKey): Promise<{ key: ApiKey; secret: string }> {
    return this.#changeOf(tenantId, (change) => createKey(change, key))
  }

  listKeys(tenantId: string): Promise<ApiKey[]> {
    return this.#listOf(tenantId, listKeys)
  }

  revokeKey(tenantId: string, keyId: string): Promise<Withdrawal<ApiKey>> {
    return this.#withdraw(tenantId, (change) => revokeKey(change, keyId))
  }

  createLogin(tenantId: string, login: NewLogin): Promise<{ login: SmtpLogin; password: string }> {
    return this.#changeOf(tenantId, (change) => createLogin(change, login, this.#fileUsers))
  }

  listLogins(tenantId: string): Promise<SmtpLogin[]> {
    return this.#listOf(tenantId, listLogins)
  }

  revokeLogin(tenantId: string, loginId: string): Promise<Withdrawal<SmtpLogin>> {
    return this.#withdraw(tenantId, (change) => revokeLogin(change, loginId))
  }

  addNetwork(tenantId: string, cidr: string): Promise<SourceNetwork> {
    return this.#changeOf(tenantId, (change) => addNetwork(change, cidr))
  }

  listNetworks(tenantId: string): Promise<SourceNetwork[]> {
    return this.#listOf(tenantId, listNetworks)
  }

  removeNetwork(tenantId: string, networkId: string): Promise<Withdrawal<SourceNetwork>> {
    return this.#withdraw(tenantId, (change) => removeNetwork(change, networkId))
  }

  async addDomain(tenantId: string, domain: NewDomain): Promise<SendingDomain> {
    // Looked at first: a key is dear.
    readDomain('/domain', domain.domain)
    const pem = await this.#newPrivateKey(tenantId)
    return await this.#changeOf(tenantId, (change) => addDomain(change, domain, pem, this.#domainSecret))
  }

  listDomains(tenantId: string): Promise<SendingDomain[]> {
    return this.#listOf(tenantId, (db) => listDomains(db, tenantId, this.#domainSecret))
  }

  verifyDomain(tenantId: string, domainId: string, records: readonly string[]): Promise<SendingDomain> {
    return this.#changeOf(tenantId, (change) => verifyDomain(change, domainId, records, this.#domainSecret))
  }

  async rotateKey(tenantId: string, domainId: string): Promise<SendingDomain> {
    const pem = await this.#newPrivateKey(tenantId)
    return await this.#changeOf(tenantId, (change) => rotateDomainKey(change, domainId, pem, this.#domainSecret))
  }

  proveKey(tenantId: string, domainId: string, keyId: string, records: readonly string[]): Promise<SendingDomain> {
    const secret = this.#domainSecret
    return this.#changeOf(tenantId, (change) => proveDomainKey(change, domainId, keyId, records, secret))
  }

  removeDomain(tenantId: string, domainId: string): Promise<Withdrawal<SendingDomain>> {
    return this.#withdraw(tenantId, (change) => removeDomain(change, domainId, this.#domainSecret))
  }

  addSender(tenantId: string, address: string): Promise<{ sender: VerifiedSender; token: string }> {
    return this.#changeOf(tenantId, (change) => addSender(change, address))
  }

  listSenders(tenantId: string): Promise<VerifiedSender[]> {
    return this.#listOf(tenantId, listSenders)
  }

  async confirmSender(token: string): Promise<VerifiedSender> {
    const tenantId = await tenantOfLink(this.#db, token, this.#clock.nowMs())
    return await this.#change(tenantId, (change) => confirmSender(change, token))
  }

  removeSender(tenantId: string, senderId: string): Promise<Withdrawal<VerifiedSender>> {
    return this.#withdraw(tenantId, (change) => removeSender(change, senderId))
  }

  createStream(tenantId: string, stream: NewStream): Promise<Stream> {
    return this.#changeOf(tenantId, (change) => createStream(change, stream))
  }

  listStreams(tenantId: string): Promise<Stream[]> {
    return this.#listOf(tenantId, listStreams)
  }

  changeStream(tenantId: string, streamId: string, changed: Partial<Omit<NewStream, 'name'>>): Promise<Stream> {
    return this.#changeOf(tenantId, (change) => changeStream(change, streamId, changed))
  }

  removeStream(tenantId: string, streamId: string): Promise<Withdrawal<Stream>> {
    return this.#withdraw(tenantId, (change) => removeStream(change, streamId))
  }

  async getQuota(tenantId: string, owner: QuotaOwner): Promise<QuotaLimits> {
    await tenantRow(this.#db, tenantId)
    return await getQuota(this.#db, tenantId, owner)
  }

  setQuota(tenantId: string, owner: QuotaOwner, limits: Partial<QuotaLimits>): Promise<QuotaLimits> {
    return this.#changeOf(tenantId, (change) => setQuota(change, owner, limits))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#lastChange
    await this.#db.destroy()
  }

  /** Before the change it is for, because other changes would wait for it. */
  async #newPrivateKey(tenantId: string): Promise<string> {
    await tenantRow(this.#db, tenantId)
    if (this.#keysInMaking >= domainKeysInMakingMax.value) throw busy(`${this.#keysInMaking} DKIM keys are being made`)
    this.#keysInMaking += 1
    try {
      return await this.#makePrivateKey()
    } finally {
      this.#keysInMaking -= 1
    }
  }

  #newId(): string {
    return uuidV7(this.#clock, this.#random)
  }

  async #listOf<T>(tenantId: string, list: (db: DirectoryDatabase, tenantId: string) => Promise<T[]>): Promise<T[]> {
    await tenantRow(this.#db, tenantId)
    return await list(this.#db, tenantId)
  }

  /** Of a tenant that must exist. */
  #changeOf<T>(tenantId: string, work: (change: Change) => Promise<T>): Promise<T> {
    return this.#change(tenantId, async (change) => {
      await tenantRow(change.trx, tenantId)
      return await work(change)
    })
  }

  async #withdraw<T>(tenantId: string, work: (change: Change) => Promise<T>): Promise<Withdrawal<T>> {
    const withdrawn = await this.#changeOf(tenantId, work)
    return { withdrawn, snapshot: this.snapshot() }
  }

  #change<T>(tenantId: string, work: (change: Change) => Promise<T>): Promise<T> {
    return this.#inTurn(() => this.#commit(tenantId, work))
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new PosthasteError('directory_closed', 'the directory is closed', 'Wait for the restart.')
    if (this.#changesWaiting >= changesWaitingMax.value)
      throw busy(`${this.#changesWaiting} changes of the directory wait already`)
    this.#changesWaiting += 1
    const turn = this.#lastChange.then(work)
    this.#lastChange = turn.catch(() => undefined)
    try {
      return await turn
    } finally {
      this.#changesWaiting -= 1
    }
  }

  async #commit<T>(tenantId: string, work: (change: Change) => Promise<T>): Promise<T> {
    const { result, parts } = await this.#db.transaction().execute(async (trx) => {
      const nowMs = this.#clock.nowMs()
      const done = await work({ trx, tenantId, nowMs, random: this.#random, newId: () => this.#newId() })
      return { result: done, parts: (await loadParts(trx, tenantId, this.#quotaRows)).get(tenantId) as TenantParts }
    })
    this.#parts.set(tenantId, parts)
    this.#snapshot = null
    this.#version += 1
    await this.#announce({ version: this.#version, ...parts })
    return result
  }

  /** Every listener hears of it, even when an earlier one fails; then so does the caller, because a thread may still work by the old one. */
  async #announce(change: DirectoryChange): Promise<void> {
    const heard = await Promise.allSettled([...this.#listeners].map(async (listener) => await listener(change)))
    const failure = heard.find((outcome) => outcome.status === 'rejected')
    this.#quotaRows.settle(change.intake, failure === undefined)
    if (failure === undefined) return
    const cure = 'It is on disk. Restart posthaste if it does not take effect.'
    const message = `the change is kept, but not everything has taken it: ${String(failure.reason)}`
    throw new PosthasteError('directory_not_heard', message, cure, { cause: failure.reason })
  }
}
