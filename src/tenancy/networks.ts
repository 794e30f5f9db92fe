/** CIDR blocks (RFC 4632), with IPv4 in IPv6's clothes taken for what it is (RFC 4291 §2.5.5.2). */
import { BlockList, isIP, isIPv4 } from 'node:net'

export interface Network {
  /** Lower case, with its prefix length. */
  readonly cidr: string
  readonly address: string
  readonly prefix: number
  readonly family: 'ipv4' | 'ipv6'
}

/** Null when it is none. */
export function parseNetwork(text: string): Network | null {
  const [written = '', length, ...rest] = text.split('/')
  const address = withoutMapping(written)
  const family = isIP(address)
  const mappedBits = address === written ? 0 : 96
  const bits = family === 4 ? 32 : 128
  const prefix = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) - mappedBits : -1
  // A zone ("fe80::1%eth0") means nothing outside the machine that wrote it.
  if (family === 0 || rest.length > 0 || prefix < 0 || prefix > bits || address.includes('%')) return null
  return { cidr: `${address.toLowerCase()}/${prefix}`, address, prefix, family: family === 4 ? 'ipv4' : 'ipv6' }
}

export function blockList(networks: readonly Network[]): BlockList {
  const list = new BlockList()
  for (const { address, prefix, family } of networks) list.addSubnet(address, prefix, family)
  return list
}

export function holds(list: BlockList, address: string): boolean {
  const plain = withoutMapping(address)
  const family = isIP(plain)
  return family !== 0 && list.check(plain, family === 4 ? 'ipv4' : 'ipv6')
}

/** "::ffff:192.0.2.7" → "192.0.2.7". */
function withoutMapping(address: string): string {
  const inner = address.slice(7)
  return /^::ffff:/i.test(address) && isIPv4(inner) ? inner : address
}
