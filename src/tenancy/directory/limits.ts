/** Bounds of the directory. */
import { limit } from '../../kernel/limits.ts'
import { dayMs, minuteMs } from '../../kernel/units.ts'

const owner = 'tenancy'

export const tenantsMax = limit({
  name: 'directory.tenants',
  value: 10_000,
  unit: 'tenants',
  owner,
  why: 'With five keys each: 0.13 s of CPU to load at start, and as much in each thread that begins. A change costs one tenant.',
  breach: 'tenants_too_many',
})

export const keysMax = limit({
  name: 'directory.keys',
  value: 100,
  unit: 'keys of a tenant that are not revoked',
  owner,
  why: 'One for each of its programs, twice while they are exchanged.',
  breach: 'keys_too_many',
})

export const loginsMax = limit({
  name: 'directory.logins',
  value: 100,
  unit: 'logins of a tenant that are not revoked',
  owner,
  why: 'One for each of its programs and devices.',
  breach: 'logins_too_many',
})

export const revokedMax = limit({
  name: 'directory.revoked',
  value: 100,
  unit: 'revoked keys of a tenant, and as many logins',
  owner,
  why: 'They are listed so that people see what became of a key; whoever makes a new one every hour must not fill the disk.',
  breach: 'the oldest is forgotten',
})

export const domainsMax = limit({
  name: 'directory.domains',
  value: 1_000,
  unit: 'domains of a tenant, claimed or verified',
  owner,
  why: 'A platform that sends for its own customers has hundreds. 1,000 × 2.5 kB with the DKIM key, in each thread that signs.',
  breach: 'domains_too_many',
})

export const domainKeysInMakingMax = limit({
  name: 'directory.domain-keys-in-making',
  value: 4,
  unit: 'DKIM keys at once',
  owner,
  why: 'Each takes a tenth of a second, sometimes a whole one, of a thread of the pool that disk and DNS wait for too.',
  breach: 'directory_busy',
})

export const sendersMax = limit({
  name: 'directory.senders',
  value: 1_000,
  unit: 'single addresses of a tenant, claimed or verified',
  owner,
  why: 'Whoever has more has a domain. 1,000 × 300 B, and as many mails with a link.',
  breach: 'senders_too_many',
})

export const streamsMax = limit({
  name: 'directory.streams',
  value: 100,
  unit: 'streams of a tenant',
  owner,
  why: 'Kinds of mail, not campaigns. With all defaults that there may be 1 kB each, in every thread that takes mail.',
  breach: 'streams_too_many',
})

export const sourceNetworksMax = limit({
  name: 'directory.source-networks',
  value: 50,
  unit: 'networks that a tenant is recognised by',
  owner,
  why: 'One for each of its sites. 50 × 300 B in every thread that takes mail.',
  breach: 'networks_too_many',
})

export const networksMax = limit({
  name: 'directory.networks',
  value: 50,
  unit: 'networks of a key or login',
  owner,
  why: 'They are looked through one by one, when the key is used.',
  breach: 'invalid_value at /networks',
})

export const labelCharactersMax = limit({
  name: 'directory.label',
  value: 100,
  unit: 'characters in the name of a key',
  owner,
  why: 'It is for people, in one row of a table.',
  breach: 'invalid_value at /name',
})

export const pageTenantsMax = limit({
  name: 'directory.page',
  value: 1_000,
  unit: 'tenants',
  owner,
  why: 'A page of the list: 200 kB as JSON.',
  breach: 'a page has no more',
})

export const linkMsMax = limit({
  name: 'directory.sender-link',
  value: 1 * dayMs,
  unit: 'ms',
  owner,
  why: 'The link that proves an address: long enough for a mail that is greylisted and read tomorrow morning.',
  breach: 'sender_link_unknown',
})

export const linkPauseMs = limit({
  name: 'directory.sender-link-pause',
  value: 1 * minuteMs,
  unit: 'ms',
  owner,
  why: 'Between two mails to an address that has not agreed to any: who asks again and again must not fill its mailbox.',
  breach: 'sender_link_too_soon',
})

export const changesWaitingMax = limit({
  name: 'directory.changes-waiting',
  value: 1_000,
  unit: 'changes',
  owner,
  why: 'One runs at a time, a few milliseconds each with its commit: the last one waits for some seconds.',
  breach: 'directory_busy',
})

export const quotasMax = limit({
  name: 'directory.quotas',
  value: 16_384,
  unit: 'tenants, keys and logins that have quotas',
  owner,
  why: 'A row of 64 B each in memory that all threads share: 1 MiB. More than there are tenants.',
  breach: 'quotas_too_many',
})

export const quotaMessagesMax = limit({
  name: 'directory.quota-messages',
  value: 1_000_000_000,
  unit: 'messages in one window, and recipients that wait',
  owner,
  why: 'A thousand times what one engine sends in a day. A second is counted in 32 bits, a day and a month in 40.',
  breach: 'invalid_value',
})

export const suppressionsMax = limit({
  name: 'directory.suppressions',
  value: 5_000_000,
  unit: 'addresses on a tenant’s list',
  owner,
  why: 'Suppressed ones: whoever has more of them bought them. 0.5 kB of disk each, and 26 to 51 B of memory.',
  breach: 'suppressions_too_many',
})

export const suppressionsInAllMax = limit({
  name: 'directory.suppressions-in-all',
  value: 20_000_000,
  unit: 'addresses on all lists',
  owner,
  why: 'Suppressed ones: asked for every recipient, so they are in memory: 512 MiB once for all threads, and half as much again while it grows.',
  breach: 'suppressions_too_many',
})

export const suppressionBatchMax = limit({
  name: 'directory.suppression-batch',
  value: 1_000,
  unit: 'addresses in a change or a page',
  owner,
  why: 'Some 70 ms with the commit, for which other changes wait. After bounces the next change has the rest.',
  breach: 'invalid_value at /addresses',
})
