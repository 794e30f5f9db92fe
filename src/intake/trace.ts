/** The fields that intake puts in front of a message. ASCII always, whatever the message is. */
import { headerDate } from '../standards/header-date.ts'
import { isIPv6 } from 'node:net'
import { isAsciiAddress, wireAddress } from '../standards/address.ts'

export interface Trace {
  /** Our own name. */
  readonly hostname: string
  /** As the client called itself, checked to be harmless in a header; its address as a literal when it never did. */
  readonly hello: string
  /** Where it really is. */
  readonly address: string
  /** RFC 3848: "ESMTPSA" and its like; or HTTP, HTTPS. */
  readonly protocol: string
  readonly id: string
  readonly timeMs: number
}

/** Time-stamp line (RFC 5321 §4.4). A recipient is named only when there is no other, so that none is told about the rest. */
export function receivedField(trace: Trace, recipients: readonly string[]): string {
  const { hello, address, hostname, protocol, id, timeMs } = trace
  const literal = addressLiteral(address)
  const only = recipients.length === 1 ? wireAddress(recipients[0] as string) : ''
  const forClause = only !== '' && isAsciiAddress(only) ? `\r\n\tfor <${only}>` : ''
  return `Received: from ${hello} (${literal})\r\n\tby ${hostname} with ${protocol} id ${id}${forClause};\r\n\t${headerDate(timeMs)}\r\n`
}

/** RFC 5321 §4.1.3. */
export function addressLiteral(address: string): string {
  return isIPv6(address) ? `[IPv6:${address}]` : `[${address}]`
}

/** Submission may add what is missing (RFC 6409 §8.2, §8.3). */
export function dateField(timeMs: number): string {
  return `Date: ${headerDate(timeMs)}\r\n`
}

export function messageIdField(id: string, hostname: string): string {
  return `Message-ID: <${id}@${hostname}>\r\n`
}

/** The word after "with" (RFC 3848; RFC 6531 §4.3). HELO has no letters for what it cannot do. */
export function protocolWord(
  session: { extended: boolean; secure: boolean; authenticated: boolean },
  smtpUtf8: boolean,
): string {
  if (!session.extended) return 'SMTP'
  const letters = `${session.secure ? 'S' : ''}${session.authenticated ? 'A' : ''}`
  return smtpUtf8 ? `UTF8SMTP${letters}` : `ESMTP${letters}`
}
