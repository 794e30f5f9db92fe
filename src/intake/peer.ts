/** Who is on the other side of a connection. */
import { isIPv6, type Socket } from 'node:net'

export interface Peer {
  /** IPv4 or IPv6; an IPv4 address in IPv6's clothes is undressed. */
  readonly address: string
  /** What limits count by: the address, or an IPv6 address's /64. */
  readonly network: string
  readonly loopback: boolean
}

export function peerOf(socket: Pick<Socket, 'remoteAddress'>): Peer {
  const raw = socket.remoteAddress ?? ''
  const address = raw.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
  const network = isIPv6(address) ? slash64(address) : address
  return { address, network, loopback: address === '::1' || address.startsWith('127.') }
}

/** The first four groups of an IPv6 address, as the system writes it. */
function slash64(address: string): string {
  const [head, tail] = address.split('::').map((part) => (part === '' ? [] : part.split(':')))
  const groups = [...(head ?? [])]
  if (tail !== undefined) groups.push(...Array<string>(8 - groups.length - tail.length).fill('0'), ...tail)
  return `${groups.slice(0, 4).join(':')}::/64`
}
