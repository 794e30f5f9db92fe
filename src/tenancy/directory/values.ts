/** What people may call things: each reader returns the form that is kept, or throws InvalidValue with what is wrong and what to write instead. */
import { MiB } from '../../kernel/units.ts'
import type { Limit } from '../../kernel/limits.ts'
import { mailClasses, mailClassOf } from '../../model/options-of-mail.ts'
import type { MailClass } from '../../model/submission.ts'
import { InvalidValue, type Scope } from '../../ports/directory.ts'
import type { QuotaLimits } from '../../ports/quotas.ts'
import { domainName, parseAddress } from '../../standards/address.ts'
import { parseNetwork } from '../../standards/network.ts'
import { labelCharactersMax, networksMax, quotaMessagesMax } from './limits.ts'

/** Names that programs use, of tenants and streams: ASCII, so that none looks like another. As in the configuration file. */
export function slug(pointer: string, written: string): string {
  const name = trimmed(pointer, written)
  if (/^[a-z0-9][a-z0-9_-]{0,62}$/.test(name)) return name
  throw new InvalidValue(
    pointer,
    `${show(name)} cannot be a name`,
    'Use up to 63 of a–z, 0–9, - and _, beginning with a letter or digit.',
  )
}

/** Names that only people read. Composed (NFC), and nothing in them that cannot be seen or turns the text around. */
export function label(pointer: string, written: string): string {
  const name = trimmed(pointer, written).normalize('NFC')
  if (/[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u.test(name))
    throw new InvalidValue(pointer, `${show(name)} has characters that cannot be seen`, 'Type it anew.')
  if (name.length <= labelCharactersMax.value) return name
  throw new InvalidValue(
    pointer,
    `it has ${name.length} characters`,
    `Use ${labelCharactersMax.value} characters at most.`,
  )
}

/** A line for people. */
export function note(pointer: string, written: string, { value }: Limit): string {
  const text = trimmed(pointer, written).normalize('NFC')
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text))
    throw new InvalidValue(pointer, `${show(text)} has characters that cannot be seen`, 'Write one line of text.')
  if (text.length <= value) return text
  throw new InvalidValue(pointer, `it has ${text.length} characters`, `Use ${value} characters at most.`)
}

/** ASCII in lower case: clients send it byte for byte. */
export function userName(pointer: string, written: string): string {
  const user = trimmed(pointer, written)
  if (/^[a-z0-9][a-z0-9._@+-]{0,127}$/.test(user)) return user
  throw new InvalidValue(
    pointer,
    `${show(user)} cannot be a user name`,
    'Use up to 128 of a–z, 0–9, . _ @ + and -, beginning with a letter or digit; or leave it out, and one is made.',
  )
}

/** Lower-case A-labels. Look-alikes are refused by domainName, not mapped. */
export function domain(pointer: string, written: string): string {
  const text = trimmed(pointer, written)
  const name = domainName(text.endsWith('.') ? text.slice(0, -1) : text)
  if (name.includes('.')) return name
  throw new InvalidValue(pointer, `${show(text)} is not a domain`, 'Write the full name, such as example.com.')
}

/**
 * As it is compared: the domain in A-labels, the local part with A–Z folded. Strictly only the domain's own server may fold it (RFC 5321 §2.4),
 * but none is known to give "Ann" and "ann" to two people, and people write both.
 */
export function address(pointer: string, written: string): string {
  const text = trimmed(pointer, written)
  const read = parseAddress(text)
  if (read.problem !== null) {
    throw new InvalidValue(
      pointer,
      `${show(text)} is not a mail address: ${read.problem}`,
      'Write it like ann@example.com, without a name or brackets.',
    )
  }
  return foldAddress(read.mailbox.address, read.mailbox.domain)
}

/** For an address that was read by parsePath, with the domain as it was understood. */
export function foldAddress(written: string, understoodDomain: string): string {
  const localPart = written.slice(0, written.lastIndexOf('@'))
  return `${localPart.replace(/[A-Z]/g, (letter) => letter.toLowerCase())}@${understoodDomain}`
}

export function networks(pointer: string, written: readonly string[]): string[] {
  if (written.length > networksMax.value) {
    throw new InvalidValue(
      pointer,
      `there are ${written.length} networks`,
      `Name ${networksMax.value} at most; larger networks hold smaller ones.`,
    )
  }
  const cure = 'Leave the list empty to allow every address.'
  return [...new Set(written.map((text, index) => network(`${pointer}/${index}`, text, cure)))]
}

/** In its one form. `cure` is for who writes what holds everybody, as the configuration file refuses it too. */
export function network(pointer: string, written: string, cure: string): string {
  const text = trimmed(pointer, written)
  const found = parseNetwork(text)
  if (found === null)
    throw new InvalidValue(pointer, `${show(text)} is not a network`, 'Write 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32.')
  if (found.prefix === 0) throw new InvalidValue(pointer, `${show(text)} is everybody`, cure)
  return found.cidr
}

const allScopes: readonly Scope[] = ['send', 'read', 'manage']

/** In one order, each once. */
export function scopes(pointer: string, written: readonly string[]): Scope[] {
  const unknown = written.findIndex((scope) => !(allScopes as readonly string[]).includes(scope))
  const cure = `Choose from ${allScopes.join(', ')}.`
  if (unknown >= 0)
    throw new InvalidValue(`${pointer}/${unknown}`, `${show(written[unknown] as string)} is not a scope`, cure)
  if (written.length === 0) throw new InvalidValue(pointer, 'a key without a scope can do nothing', cure)
  return allScopes.filter((scope) => written.includes(scope))
}

/** What is left out, and 0, are no limit. */
export function quotaLimits(written: Partial<QuotaLimits>): QuotaLimits {
  const read = (name: keyof QuotaLimits, pointer: string, max: number): number => {
    const value = written[name] ?? 0
    if (Number.isSafeInteger(value) && value >= 0 && value <= max) return value
    throw new InvalidValue(
      pointer,
      'it is not a number that a quota can have',
      `Give a whole number from 0, which is none, to ${max}.`,
    )
  }
  const messagesMax = quotaMessagesMax.value
  return {
    messagesPerSecond: read('messagesPerSecond', '/messages_per_second', messagesMax),
    messagesPerDay: read('messagesPerDay', '/messages_per_day', messagesMax),
    messagesPerMonth: read('messagesPerMonth', '/messages_per_month', messagesMax),
    spoolBytes: read('spoolBytes', '/spool_bytes', messagesMax * MiB),
    spoolRecipients: read('spoolRecipients', '/spool_recipients', messagesMax),
  }
}

/** Null: never. */
export function expiry(pointer: string, ms: number | null, nowMs: number): number | null {
  if (ms === null || (Number.isSafeInteger(ms) && ms > nowMs)) return ms
  throw new InvalidValue(pointer, 'it is not a time to come', 'Give one later than now, or none.')
}

export function mailClass(pointer: string, written: string): MailClass {
  const known = mailClassOf(written)
  if (known !== null) return known
  throw new InvalidValue(pointer, `${show(written)} is not a class of mail`, `Choose from ${mailClasses.join(', ')}.`)
}

function trimmed(pointer: string, written: string): string {
  const text = written.trim()
  if (text === '') throw new InvalidValue(pointer, 'it is empty', 'Write something.')
  return text
}

/** Quoted and escaped, and never long. */
function show(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 60)}…` : text
  return JSON.stringify(short).replace(
    /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu,
    (invisible) => `\\u${(invisible.codePointAt(0) as number).toString(16).padStart(4, '0')}`,
  )
}
