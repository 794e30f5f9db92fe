/** Names as DNS can carry them. */
import { isIP } from 'node:net'

import { domainName } from '../../standards/address.ts'
import { nameCharactersMax } from '../../standards/limits.ts'

/** RFC 1035 §2.3.1 labels, plus the underscore that real exchangers use. At most 63 characters each (§2.3.4). */
const shape = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/

/** Lower-case A-label form without the final dot, or null when no mail domain or host can be called that. */
export function dnsName(text: string): string | null {
  // The conversion of U-labels takes what a URL takes: "%2e" would become a dot, and "/" an end.
  if (!/^[A-Za-z0-9_.\u0080-\uffff-]*$/.test(text)) return null
  const bare = text.endsWith('.') ? text.slice(0, -1) : text
  const name = /[\u0080-\uffff]/.test(bare) ? domainName(bare) : bare.toLowerCase()
  if (name.length > nameCharactersMax.value || !shape.test(name)) return null
  // "192.0.2.1" is text of an address, never a name: its last label would be a top-level domain of digits.
  return isIP(name) === 0 ? name : null
}
