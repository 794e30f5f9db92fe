/** Every bound there is, from the folders that own them and from the configuration, and what they come to together. */
import type { LimitTable, LimitTotal } from '../admin/admin.ts'
import { adminLimits } from '../admin/admin.ts'
import { dnsLimits } from '../adapters/dns/dns.ts'
import { diskLimits } from '../adapters/embedded/embedded.ts'
import { composeLimits } from '../compose/compose.ts'
import { type Config, configLimits, configuredLimits } from '../config/config.ts'
import { deliverLimits, waitLimits } from '../deliver/deliver.ts'
import { accountingLimits, eventsLimits } from '../events/events.ts'
import { feedbackLimits } from '../feedback/feedback.ts'
import { httpLimits, smtpLimits } from '../intake/intake.ts'
import type { Limit } from '../kernel/limits.ts'
import { KiB } from '../kernel/units.ts'
import * as modelLimits from '../model/limits.ts'
import { routeLimits } from '../route/route.ts'
import { sandboxLimits } from '../sandbox/sandbox.ts'
import { shapeLimits, slotBytes } from '../shape/shape.ts'
import { signLimits } from '../sign/sign.ts'
import { spoolLimits } from '../spool/spool.ts'
import * as standardsLimits from '../standards/limits.ts'
import { tenancyLimits } from '../tenancy/tenancy.ts'
import { httpConnections } from './descriptors.ts'
import * as appLimits from './limits.ts'

/** On the way of a message, then what stands beside it. */
const owners = [
  'intake/smtp',
  'intake/http',
  'standards',
  'tenancy',
  'spool',
  'route',
  'adapters/dns',
  'shape',
  'compose',
  'sign',
  'deliver',
  'events',
  'feedback',
  'model',
  'sandbox',
  'admin/http',
  'admin/cli',
  'config',
  'adapters/embedded',
  'app',
]

export function limitTable(config: Config): LimitTable {
  const fixed = exported.flatMap((limits) => Object.values<Limit>(limits))
  fixed.sort((a, b) => (a.name < b.name ? -1 : 1))
  const groups = Map.groupBy([...configuredLimits(config), ...fixed, ...waitLimits()], ({ owner }) => owner)
  return {
    limits: owners.flatMap((owner) => groups.get(owner) ?? []),
    totals: [memory(config), openFiles(config)],
  }
}

/** Each holds limits and nothing else, or this does not compile. */
const exported: readonly Readonly<Record<string, Limit>>[] = [
  smtpLimits,
  httpLimits,
  standardsLimits,
  spoolLimits,
  tenancyLimits,
  routeLimits,
  dnsLimits,
  shapeLimits,
  composeLimits,
  signLimits,
  deliverLimits,
  eventsLimits,
  accountingLimits,
  feedbackLimits,
  modelLimits,
  sandboxLimits,
  adminLimits,
  configLimits,
  diskLimits,
  appLimits,
]

/** What could be held at one moment if every peer did its worst at once; the heap of the runtime is not in it. */
function memory(config: Config): LimitTotal {
  const { smtp, http, delivery } = config
  // A read is 64 KiB: one is in hand and one may follow.
  const smtpInput = smtpLimits.heldInputBytesMax.value + smtpLimits.socketBytesMax.value + 2 * 64 * KiB
  const smtpReplies = smtpLimits.repliesBytesMax.value + smtpLimits.socketBytesMax.value
  const shared = Math.max(
    smtpLimits.sharedBytesMin.value,
    smtp.connectionsMax * smtpLimits.sharedBytesPerConnection.value,
  )
  const replyBytes = standardsLimits.replyLinesMax.value * standardsLimits.replyLineBytesMax.value
  // Read block and stuffed block; the header as stored, as signed and as sent.
  const outgoingBytes = 3 * composeLimits.blockBytes.value + 3 * smtpLimits.headerBytesMax.value
  return {
    name: 'memory, at the very worst',
    unit: 'bytes',
    parts: [
      part(
        'windows of logs: outcomes, stragglers, and mail of each intake thread',
        2 + intakeLogs(config),
        config.spool.windowBytes,
      ),
      part('recipients that wait', shapeLimits.slotsMax.value, slotBytes),
      part('sessions: content before it spills, in its buffer', smtp.connectionsMax, 2 * spoolLimits.stageBytes.value),
      part('buffers kept for content', intakeLogs(config), spoolLimits.stagePoolBytesMax.value),
      part('sessions: envelopes, headers in pieces, stuck clients', 1, shared),
      part('sessions: input behind a commit, and replies', smtp.connectionsMax, smtpInput + smtpReplies),
      part('sessions: a line under way', smtp.connectionsMax, smtpLimits.authLineBytesMax.value),
      // As it came, unpacked, as a value and assembled.
      part(
        'API: bodies of requests',
        intakeLogs(config),
        4 * Math.max(httpLimits.sharedBytesMin.value, 3 * (http.bodyBytesMax + httpLimits.unpackerBytes.value)),
      ),
      part('API: a header under way', httpConnections(config), httpLimits.headerBytesMax.value),
      part('deliveries: content on its way out', delivery.connectionsMax, outgoingBytes),
      part('deliveries: a reply under way', delivery.connectionsMax, replyBytes),
      part('sites', routeLimits.sitesMax.value, 600),
      part('recipient domains', routeLimits.domainsMax.value, 200),
      part('DNS answers', dnsLimits.cacheEntriesMax.value, 6 * KiB),
      part('DNS questions over TCP', dnsLimits.questionsInFlightMax.value, 64 * KiB),
      part('hosts remembered', 4 * deliverLimits.hostsRememberedMax.value, 150),
      part('TLS sessions', deliverLimits.tlsSessionsMax.value, 3 * KiB),
      part('quotas: what has been sent', tenancyLimits.quotasMax.value, 64),
      part('DKIM keys of tenants, ready to sign', signLimits.parsedKeysMax.value, 5 * KiB),
      part('buffers kept for messages', 1, composeLimits.pooledBytesMax.value),
      // While they wait, and once more while they are made ready to be written.
      part('accounting: lines that wait for their disk', 2, accountingLimits.waitingBytesMax.value),
      part('message store: pages of day files', eventsLimits.filesOpenMax.value, eventsLimits.cacheBytesMax.value),
      part(
        'admin API',
        adminLimits.connectionsMax.value,
        adminLimits.bodyBytesMax.value + adminLimits.headerBytesMax.value,
      ),
    ],
    beside: `and the heap of the runtime. Of the queue only what is used is there: ${slotBytes} B × ten million recipients = ${10 * slotBytes} MB`,
  }
}

/** Left to the program it depends on the cores: then one stands for all. */
function intakeLogs({ threads }: Config): number {
  return threads.intake === 'auto' ? 1 : Math.max(1, threads.intake)
}

function openFiles(config: Config): LimitTotal {
  const { smtp, delivery, sandbox, threads } = config
  return {
    name: 'open files',
    unit: 'files',
    parts: [
      part('clients by SMTP', smtp.connectionsMax, 1),
      part('clients by HTTP', httpConnections(config), 1),
      // In the sandbox both ends of a delivery are ours.
      part('deliveries', delivery.connectionsMax, sandbox ? 2 : 1),
      part(
        'threads that deliver',
        threads.deliver === 'auto' ? 0 : threads.deliver,
        appLimits.descriptorsPerDeliverThread.value,
      ),
      part('everything else', appLimits.descriptorsReserved.value, 1),
    ],
    beside: 'as LimitNOFILE; with fewer, all kinds of connections are cut alike at start',
  }
}

function part(what: string, count: number, each: number): LimitTotal['parts'][number] {
  return { what, count, each }
}
