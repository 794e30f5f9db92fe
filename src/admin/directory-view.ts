/** The directory for the admin API: with the DNS asked about domains, and links mailed to senders. */
import type { Clock } from '../kernel/clock.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { uuidV7 } from '../kernel/ids.ts'
import type { Random } from '../kernel/random.ts'
import type { Directory, SendingDomain, VerifiedSender } from '../ports/directory.ts'
import type { Dns } from '../ports/dns.ts'
import type { Outbox } from '../ports/outbox.ts'
import { judgeRecord, type QuotaRows, verificationMail, wantedRecords } from '../tenancy/tenancy.ts'
import { dnsAnswerMsMax } from './limits.ts'
import type { DirectoryView, DomainReport } from './view.ts'

export interface DirectoryViewOptions {
  readonly directory: Directory
  readonly quotaRows: Pick<QuotaRows, 'use'>
  readonly dns: Pick<Dns, 'txt'>
  readonly outbox: Outbox
  readonly clock: Clock
  readonly random: Random
  /** The machine that mail comes from. */
  readonly hostname: string
  /** What links begin with; null: none can be mailed. */
  readonly publicUrl: string | null
}

/** TXT records by their name; null: the DNS gave no answer. */
type Texts = ReadonlyMap<string, readonly string[] | null>

export function createDirectoryView(options: DirectoryViewOptions): DirectoryView {
  const { directory, hostname } = options
  // Each by itself: the directory has private parts, so it is asked as what it is.
  return {
    createTenant: (name) => directory.createTenant(name),
    listTenants: (page) => directory.listTenants(page),
    findTenant: (idOrName) => directory.findTenant(idOrName),
    renameTenant: (tenant, name) => directory.renameTenant(tenant, name),
    suspendTenant: (tenant) => directory.suspendTenant(tenant),
    resumeTenant: (tenant) => directory.resumeTenant(tenant),
    createKey: (tenant, key) => directory.createKey(tenant, key),
    listKeys: (tenant) => directory.listKeys(tenant),
    revokeKey: (tenant, key) => directory.revokeKey(tenant, key),
    createLogin: (tenant, login) => directory.createLogin(tenant, login),
    listLogins: (tenant) => directory.listLogins(tenant),
    revokeLogin: (tenant, login) => directory.revokeLogin(tenant, login),
    addNetwork: (tenant, cidr) => directory.addNetwork(tenant, cidr),
    listNetworks: (tenant) => directory.listNetworks(tenant),
    removeNetwork: (tenant, network) => directory.removeNetwork(tenant, network),
    addDomain: (tenant, domain) => directory.addDomain(tenant, domain),
    listDomains: (tenant) => directory.listDomains(tenant),
    rotateKey: (tenant, domain) => directory.rotateKey(tenant, domain),
    removeDomain: (tenant, domain) => directory.removeDomain(tenant, domain),
    listSenders: (tenant) => directory.listSenders(tenant),
    removeSender: (tenant, sender) => directory.removeSender(tenant, sender),
    createStream: (tenant, stream) => directory.createStream(tenant, stream),
    listStreams: (tenant) => directory.listStreams(tenant),
    changeStream: (tenant, stream, change) => directory.changeStream(tenant, stream, change),
    removeStream: (tenant, stream) => directory.removeStream(tenant, stream),
    getQuota: (tenant, owner) => directory.getQuota(tenant, owner),
    setQuota: (tenant, owner, limits) => directory.setQuota(tenant, owner, limits),
    quotaUse: (tenant, credential) => options.quotaRows.use(tenant, credential),
    suppressions: directory.suppressions,
    reportDomain: async (domain) => report(domain, hostname, await textsOf(domain, options)),
    verifyDomain: (domain) => verifyDomain(domain, options),
    addSender: (tenant, address) => addSender(tenant, address, options),
  }
}

function report(domain: SendingDomain, hostname: string, texts: Texts): DomainReport {
  return {
    domain,
    records: wantedRecords(domain, hostname).map((wanted) => judgeRecord(wanted, texts.get(wanted.name) ?? null)),
  }
}

async function textsOf(domain: SendingDomain, { dns, clock, hostname }: DirectoryViewOptions): Promise<Texts> {
  const names = wantedRecords(domain, hostname).map(({ name }) => name)
  const asked = names.map(async (name): Promise<readonly [string, readonly string[] | null]> => {
    const answer = await inTime(dns.txt(name), clock)
    if (answer === null || answer.kind === 'temporary') return [name, null]
    return [name, answer.kind === 'txt' ? answer.records : []]
  })
  return new Map(await Promise.all(asked))
}

/** Null when it takes longer than whoever asked us would wait. */
function inTime<T>(answer: Promise<T>, clock: Clock): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(dnsAnswerMsMax.value, () => resolve(null))
    answer.then(resolve, reject).finally(() => timer.cancel())
  })
}

async function verifyDomain(asked: SendingDomain, options: DirectoryViewOptions): Promise<DomainReport> {
  const { directory, hostname } = options
  const texts = await textsOf(asked, options)
  const { tenantId, id } = asked
  let domain = asked
  for (const { purpose, state, name, keyId } of report(asked, hostname, texts).records) {
    if (state !== 'found') continue
    const records = texts.get(name) ?? []
    if (purpose === 'ownership') domain = await directory.verifyDomain(tenantId, id, records)
    else if (keyId !== null) domain = await directory.proveKey(tenantId, id, keyId, records)
  }
  return report(domain, hostname, texts)
}

async function addSender(tenantId: string, address: string, options: DirectoryViewOptions): Promise<VerifiedSender> {
  const { directory, outbox, clock, random, hostname, publicUrl } = options
  if (publicUrl === null) {
    const message = 'nobody outside could open the link that proves an address: http.public_url is not set'
    throw new PosthasteError('public_url_missing', message, 'Set http.public_url, or verify the whole domain.')
  }
  const { name } = await directory.findTenant(tenantId)
  const { sender, token } = await directory.addSender(tenantId, address)
  const nowMs = clock.nowMs()
  const mail = verificationMail({
    to: sender.address,
    tenantName: name,
    link: `${publicUrl}/senders/confirm?token=${token}`,
    linkMs: sender.linkExpiresMs - nowMs,
    hostname,
    nowMs,
    id: uuidV7(clock, random),
    boundarySeed: random.uint32().toString(36),
  })
  const failure = await outbox.send(mail)
  if (failure === null) return sender
  const message = `the mail with the link was not taken: ${failure.say}`
  throw new PosthasteError('link_not_mailed', message, 'Add the sender again in a minute: it gets a new link.')
}
