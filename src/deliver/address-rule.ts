/**
 * Addresses that no public mail exchanger has. A domain whose MX points there would make us speak to our own network (server-side
 * request forgery), so they are refused unless the route is the operator's own word. IPv4 addresses mapped into IPv6 count as IPv4.
 */
import { BlockList } from 'node:net'

const networks: readonly (readonly [network: string, prefix: number, family: 'ipv4' | 'ipv6'])[] = [
  ['0.0.0.0', 8, 'ipv4'], // "this network", RFC 1122 §3.2.1.3
  ['10.0.0.0', 8, 'ipv4'], // RFC 1918
  ['100.64.0.0', 10, 'ipv4'], // shared address space of carriers, RFC 6598
  ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'], // link-local, RFC 3927; cloud metadata services
  ['172.16.0.0', 12, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'], // RFC 6890
  ['192.168.0.0', 16, 'ipv4'],
  ['224.0.0.0', 3, 'ipv4'], // multicast, reserved, broadcast
  ['::', 96, 'ipv6'], // unspecified, loopback, and the deprecated IPv4-compatible form
  ['fc00::', 7, 'ipv6'], // unique local, RFC 4193
  ['fe80::', 10, 'ipv6'], // link-local
  ['fec0::', 10, 'ipv6'], // the former site-local
  ['ff00::', 8, 'ipv6'], // multicast
]

export interface AddressRule {
  /** May mail that strangers route (by their MX records) go to this IP address? */
  isPublic(address: string): boolean
}

export function createAddressRule(): AddressRule {
  const refused = new BlockList()
  for (const [network, prefix, family] of networks) refused.addSubnet(network, prefix, family)
  return { isPublic: (address) => !refused.check(address, address.includes(':') ? 'ipv6' : 'ipv4') }
}
