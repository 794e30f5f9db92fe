/** The recursive resolvers that are asked, and what was learnt of each. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'

import { PosthasteError } from '../../kernel/errors.ts'
import { serversMax } from './limits.ts'

export interface Server {
  readonly address: string
  readonly port: number
  /** False once it refused a question for its EDNS record (RFC 6891 §7). */
  edns: boolean
  /** False once a reply over TCP showed that it does not repeat the question's letters as they were. */
  keepsCase: boolean
  /** It did not answer lately: asked last until then, in monotonic milliseconds. */
  downUntilMs: number
}

export function serverName(server: Server): string {
  return server.port === 53 ? server.address : `${server.address}#${server.port}`
}

/** From configuration: "192.0.2.53", "192.0.2.53#5353", "2001:db8::53#53". */
export function parseServer(text: string): Server {
  const [address = '', port = '53', ...rest] = text.split('#')
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0
  if (isIP(address) === 0 || number < 1 || number > 65_535 || rest.length > 0) {
    throw new PosthasteError(
      'dns_server',
      `"${text}" is not a DNS server`,
      'Write dns.servers as IP addresses with an optional port, such as "192.0.2.53" or "127.0.0.1#5353".',
      { exitCode: 78 },
    )
  }
  return server(address, number)
}

/** From resolv.conf(5). Without the file or any nameserver in it, one on this machine is assumed, as the C library does. */
export function systemServers(resolvConf: string): Server[] {
  const found: Server[] = []
  for (const line of readText(resolvConf).split('\n')) {
    const address = /^\s*nameserver\s+(\S+)/.exec(line)?.[1]
    if (address !== undefined && isIP(address) !== 0 && found.length < serversMax.value) found.push(server(address, 53))
  }
  return found.length > 0 ? found : [server('127.0.0.1', 53)]
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function server(address: string, port: number): Server {
  return { address, port, edns: true, keepsCase: true, downUntilMs: 0 }
}
