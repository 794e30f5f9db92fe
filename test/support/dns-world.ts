/** The real resolver, asking a fake server. */
import type { TestContext } from 'node:test'
import type { NetworkInterfaceInfo } from 'node:os'

import { openDns } from '../../src/adapters/dns/dns.ts'
import { type Clock, systemClock } from '../../src/kernel/clock.ts'
import { systemRandom } from '../../src/kernel/random.ts'
import type { Dns, MxAnswer } from '../../src/ports/dns.ts'
import { type FakeDns, type FakeDnsOptions, type FakeZone, startFakeDns } from './fake-dns.ts'

const globalIpv6: NetworkInterfaceInfo = {
  address: '2001:db8::1',
  netmask: 'ffff:ffff:ffff:ffff::',
  family: 'IPv6',
  mac: '00:00:00:00:00:00',
  internal: false,
  cidr: null,
  scopeid: 0,
}

export interface DnsWorld {
  readonly server: FakeDns
  readonly dns: Dns
}

export interface DnsWorldOptions extends FakeDnsOptions {
  readonly clock?: Clock
  readonly timeoutMs?: number
  readonly ipv6?: boolean
  readonly otherServers?: readonly string[]
}

/** Both end with the test. */
export async function dnsWorld(t: TestContext, zone: FakeZone, options: DnsWorldOptions = {}): Promise<DnsWorld> {
  const server = await startFakeDns(zone, options)
  t.after(() => server.close())
  const dns = openDns({
    config: { servers: [...(options.otherServers ?? []), server.server], timeoutMs: options.timeoutMs ?? 2_000 },
    clock: options.clock ?? systemClock,
    random: systemRandom,
    interfaces: () => (options.ipv6 ? { eth0: [globalIpv6] } : {}),
  })
  t.after(() => dns.close())
  return { server, dns }
}

/** Names of the exchangers in an answer, or what it is instead. */
export const exchangersOf = (answer: MxAnswer): string[] | string =>
  answer.kind === 'mx' ? answer.records.map(({ exchange }) => exchange) : answer.kind
