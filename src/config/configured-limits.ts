/** The bounds that the operator sets, with the values in force. What they are for is what the schema says of the option. */
import { invariant } from '../kernel/assert.ts'
import type { Limit } from '../kernel/limits.ts'
import { dayMs, formatBytes, formatDuration } from '../kernel/units.ts'
import type { Config } from './compiled.ts'
import { factsOf, propertiesOf, type OptionFacts } from './options.ts'
import { fileSchema } from './schema.ts'

const intake = 'intake/smtp'

export function configuredLimits({
  smtp,
  http,
  store,
  accounting,
  delivery,
  retry,
  notices,
  dns,
  spool,
}: Config): Limit[] {
  return [
    option('smtp.connections_max', smtp.connectionsMax, 'connections', intake, '421 4.3.2'),
    option('smtp.connections_per_address_max', smtp.connectionsPerAddressMax, 'connections', intake, '421 4.3.2'),
    option('smtp.message_size_max', smtp.messageBytesMax, 'bytes', intake, '552 5.3.4'),
    option('smtp.recipients_max', smtp.recipientsMax, 'recipients', intake, '452 4.5.3'),
    option('smtp.idle_timeout', smtp.idleMsMax, 'ms', intake, '421 4.4.2'),
    option('smtp.content_rate_min', smtp.contentBytesPerSecondMin, 'bytes per second', intake, '421 4.4.2'),
    option('http.body_size_max', http.bodyBytesMax, 'bytes', 'intake/http', '413'),
    option('http.connections_max', http.connectionsMax, 'connections', 'intake/http', 'close'),
    option('http.request_timeout', http.requestMsMax, 'ms', 'intake/http', '408'),
    option('store.retention', store.retentionDays * dayMs, 'ms', 'events', 'the day is dropped'),
    option('store.size_max', store.bytesMax, 'bytes', 'events', 'the oldest day is dropped'),
    option('accounting.rotate_size', accounting.rotateBytes, 'bytes', 'events', 'a new file is begun'),
    option('accounting.rotate_every', accounting.rotateMs, 'ms', 'events', 'a new file is begun'),
    option('accounting.retention', accounting.keepMs, 'ms', 'events', 'the file is removed'),
    option('accounting.size_max', accounting.keepBytes, 'bytes', 'events', 'the oldest file is removed'),
    option('accounting.behind_max', accounting.behindBytesMax, 'bytes', 'events', 'lines are given up, with an alarm'),
    option('spool.segment_size', spool.segmentBytes, 'bytes', 'spool', 'the next segment is begun'),
    option('spool.window_size', spool.windowBytes, 'bytes', 'spool', 'older mail is read from the disk'),
    option('spool.reserve', spool.reserveBytes, 'bytes', 'spool', '452 4.3.1'),
    option('spool.tenant_share', spool.tenantShare, 'of what there is for mail', 'spool', '452 4.3.1 to that tenant'),
    option('spool.commit_delay', spool.commitDelayMs, 'ms', 'spool', 'the commit goes out'),
    option('spool.commit_size_max', spool.commitBytesMax, 'bytes', 'spool', 'the commit goes out'),
    option('spool.checkpoint_after', spool.checkpointAfterBytes, 'bytes', 'spool', 'the queue is written down'),
    option('delivery.connections_max', delivery.connectionsMax, 'connections', 'shape', 'mail waits'),
    option('delivery.connections_per_site', delivery.connectionsPerSite, 'connections', 'shape', 'mail waits'),
    option(
      'delivery.recipients_per_transaction',
      delivery.recipientsPerTransaction,
      'recipients',
      'shape',
      'another transaction',
    ),
    option('retry.expire_after', retry.expireAfterMs, 'ms', 'shape', 'expired 5.4.7'),
    option('notices.delay_after', notices.delayAfterMs, 'ms', 'feedback', 'the sender is told, if it asked for that'),
    option('notices.group_within', notices.groupWithinMs, 'ms', 'feedback', 'another notice'),
    option('notices.per_hour', notices.perHourMax, 'notices to one return path', 'feedback', 'no notice'),
    option('notices.return_full_max', notices.returnFullBytesMax, 'bytes', 'feedback', 'the header goes back'),
    option('delivery.messages_per_connection', delivery.messagesPerConnection, 'messages', 'deliver', 'QUIT'),
    option('delivery.idle_connection', delivery.idleConnectionMs, 'ms', 'deliver', 'QUIT'),
    option('dns.timeout', dns.timeoutMs, 'ms', 'adapters/dns', 'the next server, the second time for twice as long'),
  ]
}

function option(name: string, value: number, unit: string, owner: string, breach: string): Limit {
  const facts = optionFacts(name)
  const format = facts.kind === 'bytes' ? formatBytes : facts.kind === 'duration' ? formatDuration : inThousands
  const range = `From ${format(facts.minimum ?? 0)} to ${format(facts.maximum ?? 2 ** 31)}.`
  return { name, value, unit, owner, why: `${facts.description} ${range}`, breach }
}

const inThousands = (value: number): string => value.toLocaleString('en-US')

function optionFacts(key: string): OptionFacts {
  const [section = '', name = ''] = key.split('.')
  const schema = propertiesOf(fileSchema).get(section)
  const child = schema && propertiesOf(schema).get(name)
  const facts = child && factsOf(child)
  invariant(facts !== undefined, `${key} is an option`)
  return facts
}
