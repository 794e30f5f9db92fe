/**
 * What threads ask of a tenant's suppression list: may anything be sent there? The list itself is in the directory (ports/directory.ts), whose
 * contract says when a change is in force.
 */
import type { SharedSet } from '../kernel/shared-set.ts'
import { domainOf, isAsciiAddress } from '../standards/address.ts'

export interface Suppressions {
  /** Asked for every recipient of every message: exact, without waiting for anybody. `address` as it stands in the envelope. */
  has(tenant: string, address: string): boolean
}

/**
 * An address in the form that lists keep and compare: the domain in lower-case A-labels, the local part in lower case, without quotes that it
 * does not need. Only the domain's own server may fold a local part (RFC 5321 §2.4), but none is known to give "Ann" and "ann" to two people, and
 * mail that must not be sent would find its way by a capital letter. Dots and "+tags" stay: they are different mailboxes for many servers.
 */
export function suppressionAddress(address: string): string {
  const isQuoted = address.charCodeAt(0) === quote
  const at = address.lastIndexOf('@')
  if (isAsciiAddress(address)) {
    if (!isQuoted) return address.toLowerCase()
    return `${unquoted(address.slice(0, at), (text) => text.toLowerCase())}${address.slice(at).toLowerCase()}`
  }
  const domain = domainOf(address)
  // Without a domain it is no address, and stands for itself.
  if (domain === '') return address
  const localPart = address.slice(0, at)
  return `${isQuoted ? unquoted(localPart, folded) : folded(localPart)}@${domain}`
}

/** What is in the set: no tenant's name or id holds a line end. */
export const suppressionKey = (tenant: string, address: string): string => `${tenant}\n${suppressionAddress(address)}`

const folded = (text: string): string => text.normalize('NFC').toLowerCase().normalize('NFC')

const quote = 0x22

/**
 * RFC 5321 §4.1.2: quotes and backslashes are not part of the local part. Only those stay without which it could not be written. It is folded in between,
 * because "<" and a stroke over it need quotes, and the one character that they come to does not.
 */
function unquoted(localPart: string, fold: (text: string) => string): string {
  const bare = fold(localPart.slice(1, -1).replace(/\\(.)/g, '$1'))
  return needsNoQuotes.test(bare) ? bare : `"${bare.replace(/["\\]/g, '\\$&')}"`
}

const needsNoQuotes = /^[\w!#$%&'*+/=?^`{|}~\u0080-\uffff-]+(?:\.[\w!#$%&'*+/=?^`{|}~\u0080-\uffff-]+)*$/

/** The lists of all tenants, in memory that main writes. */
export class SharedSuppressions implements Suppressions {
  #set: SharedSet

  constructor(set: SharedSet) {
    this.#set = set
  }

  /** From now on this one is asked: the set was full, and main has made a larger one. */
  replace(set: SharedSet): void {
    this.#set = set
  }

  has(tenant: string, address: string): boolean {
    // Most engines begin with nobody on any list: then no key is made.
    return this.#set.size > 0 && this.#set.has(suppressionKey(tenant, address))
  }
}
