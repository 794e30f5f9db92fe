/** Port `dns`: the questions that routing and delivery ask. Answers are cached by the adapter for their time to live. */

export interface MxRecord {
  readonly preference: number
  /** Lower-case A-label name without the final dot. '' is the null MX (RFC 7505). */
  readonly exchange: string
}

export type DnsFailure =
  /** NXDOMAIN: the name does not exist. Permanent. */
  | { readonly kind: 'no-domain' }
  /** The name exists and has no such record. */
  | { readonly kind: 'no-data' }
  /** SERVFAIL, timeout, malformed: ask again later. */
  | { readonly kind: 'temporary'; readonly reason: string }

export type MxAnswer =
  | { readonly kind: 'mx'; readonly records: readonly MxRecord[]; readonly ttlMs: number }
  | DnsFailure
export type AddressAnswer =
  | { readonly kind: 'addresses'; readonly addresses: readonly string[]; readonly ttlMs: number }
  | DnsFailure

export type TextAnswer =
  | { readonly kind: 'txt'; readonly records: readonly string[]; readonly ttlMs: number }
  | DnsFailure

export interface Dns {
  /**
   * At most 20 records, by rising preference; equal ones in random order. Without any record: exchangers are named but none
   * can be used (malformed names, aliases in a circle). Never rejects.
   */
  mx(domain: string): Promise<MxAnswer>
  /** IPv4 and IPv6 addresses as text, IPv6 first when the machine has any route for it. Never rejects. */
  addresses(host: string): Promise<AddressAnswer>
  /**
   * Texts of the TXT records, each joined from its strings (RFC 7208 §3.3); bytes above 127 as Latin-1. For people who have just published one:
   * never from our own cache. Never rejects.
   */
  txt(name: string): Promise<TextAnswer>
  close(): void
}
