/** What a thread needs to deliver: its own resolver, keys, sockets and view of the spool. */
import { openDns, silentDns } from '../adapters/dns/dns.ts'
import { openNet } from '../adapters/net/net.ts'
import type { Config } from '../config/config.ts'
import { createDeliverer, type DeliverCounters, type Deliverer } from '../deliver/deliver.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import type { DeliveryReport, Grant } from '../model/grant.ts'
import type { DirectorySnapshot } from '../ports/directory.ts'
import type { Dns } from '../ports/dns.ts'
import type { Messages } from '../ports/messages.ts'
import type { Suppressions } from '../ports/suppressions.ts'
import { createSigner } from '../sign/sign.ts'
import type { RecordReader } from '../spool/spool.ts'
import { type DirectoryNews, NewsCount } from './directory-news.ts'
import { inHand } from './hand.ts'
import { createMessages } from './messages.ts'

export interface DeliveryOptions {
  readonly directory: Pick<DirectorySnapshot, 'version' | 'preparing'>
  readonly suppressions: Suppressions
  readonly config: Config
  readonly records: RecordReader
  readonly dns: Dns
  readonly hand: SharedArrayBuffer
  readonly clock: Clock
  readonly random: Random
  readonly counters: DeliverCounters
  readonly report: (report: DeliveryReport) => void
  readonly ahead: (grant: Grant) => Grant | null
  /** Looks into every message before it is prepared; tests break one there. */
  readonly wrap?: WrapMessages
}

export type WrapMessages = (messages: Messages) => Messages

export interface Delivery {
  readonly deliverer: Deliverer
  /** What is prepared from now on has these keys. */
  readonly hearNews: (news: DirectoryNews) => void
}

export function startDelivery(options: DeliveryOptions): Delivery {
  const { config, records, hand, wrap, directory, suppressions } = options
  const signer = createSigner(config.dkim)
  for (const tenant of directory.preparing) signer.put(tenant)
  const count = new NewsCount(directory.version)
  const messages = createMessages(records, signer)
  const deliverer = createDeliverer({
    ...options,
    config: config.delivery,
    hostname: config.hostname,
    messages: inHand(wrap === undefined ? messages : wrap(messages), hand),
    net: openNet({ loopbackOnly: config.sandbox }),
    sandbox: config.sandbox,
    isSuppressed: (tenant, address) => suppressions.has(tenant, address),
  })
  const hearNews = (news: DirectoryNews): void => {
    if (news.preparing !== undefined && count.isNews(news)) signer.put(news.preparing)
  }
  return { deliverer, hearNews }
}

export function startDns({ sandbox, dns }: Config, clock: Clock, random: Random): Dns {
  return sandbox ? silentDns : openDns({ config: dns, clock, random })
}
