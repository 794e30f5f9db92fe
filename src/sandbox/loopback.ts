/** "No way out" is enforced where sockets are opened: the sandbox's instruments know no address but this machine's own. */
import { BlockList, isIP } from 'node:net'
import { PosthasteError } from '../kernel/errors.ts'

/** RFC 1122 §3.2.1.3, RFC 4291 §2.5.3. Names other than localhost are not asked for: an answer could lead anywhere. */
export function loopbackAddress(host: string): string {
  if (host.toLowerCase() === 'localhost') return '127.0.0.1'
  const address = host.replace(/^\[(.*)\]$/, '$1')
  const own = new BlockList()
  own.addSubnet('127.0.0.0', 8, 'ipv4')
  own.addAddress('::1', 'ipv6')
  const family = isIP(address)
  if (family !== 0 && own.check(address, family === 4 ? 'ipv4' : 'ipv6')) return address
  throw new PosthasteError(
    'not_loopback',
    `${host} is not a loopback address, and bench and sandbox instruments never touch a network`,
    'Use 127.0.0.1, ::1 or localhost. To load another machine, run the source there.',
    { exitCode: 64 },
  )
}
