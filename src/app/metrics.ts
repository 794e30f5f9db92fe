/** The engine's figures as metrics. Names: posthaste_<what>_<unit>, counters end in _total. */
import type { MetricSample } from '../admin/admin.ts'
import type { Clock } from '../kernel/clock.ts'
import type { EngineFigures, RecordFigures } from './exchange.ts'
import type { Supervisor } from './supervisor.ts'

export function metricsOf(
  figures: EngineFigures | null,
  supervisor: Supervisor,
  startedMs: number,
  clock: Clock,
): MetricSample[] {
  const samples: MetricSample[] = []
  const gauge = (name: string, help: string, value: number, labels: Record<string, string> = {}): void =>
    void samples.push({ name: `posthaste_${name}`, help, type: 'gauge', labels, value })
  const counter = (name: string, help: string, value: number, labels: Record<string, string> = {}): void =>
    void samples.push({ name: `posthaste_${name}_total`, help, type: 'counter', labels, value })
  gauge('ready', '1 while mail is accepted.', supervisor.health().ready ? 1 : 0)
  gauge('uptime_seconds', 'Time since the program started.', (clock.monotonicMs() - startedMs) / 1_000)
  const memory = process.memoryUsage()
  gauge('resident_memory_bytes', 'Resident memory of the process.', memory.rss)
  counter('engine_restarts', 'Times that the mail threads were started again after a failed disk.', supervisor.restarts)
  for (const { name, restarts } of supervisor.workers())
    counter('thread_restarts', 'Times that a thread was started again after it had died.', restarts, { thread: name })
  gauge('messages_set_aside', 'Messages over which threads have died twice.', supervisor.setAside)
  if (figures === null) return samples
  const { accepted, recipients, ...outcomes } = figures.totals
  counter('accepted_messages', 'Messages acknowledged after they were on disk.', accepted)
  counter('accepted_recipients', 'Recipients of acknowledged messages.', recipients)
  for (const [outcome, value] of Object.entries(outcomes))
    counter('outcomes', 'Outcomes of attempts, per recipient.', value, { outcome })
  for (const state of ['ready', 'deferred', 'inFlight'] as const) {
    gauge('queue_recipients', 'Recipients in the queue, by state.', figures.queue[state], {
      state: state === 'inFlight' ? 'in_flight' : state,
    })
  }
  gauge('connections', 'Open connections.', figures.connections.smtpIn, { side: 'smtp_in' })
  gauge('connections', 'Open connections.', figures.connections.deliverActive, { side: 'deliver_active' })
  gauge('connections', 'Open connections.', figures.connections.deliverIdle, { side: 'deliver_idle' })
  for (const log of figures.logs) {
    gauge('log_committed_position_bytes', 'Everything of the log before this is on disk.', log.committedPosition, {
      log: log.name,
    })
    gauge('log_state', '0 ok, 1 disk below its reserve, 2 disk failed.', ['ok', 'full', 'broken'].indexOf(log.state), {
      log: log.name,
    })
  }
  gauge('disk_free_bytes', 'Free space for the spool.', figures.logs[0]?.freeBytes ?? 0)
  if (figures.store !== null) {
    gauge('store_behind_bytes', 'On disk in the logs, and not in the message store yet.', figures.store.behindBytes)
    gauge('store_messages', 'Messages that can be asked for.', figures.store.messages)
    gauge('store_bytes', 'Disk space of the message store.', figures.store.bytes)
  }
  if (figures.record !== null) recordMetrics(figures.record, gauge, counter)
  for (const [name, value] of Object.entries(figures.intake))
    counter('intake', 'What intake counts, by name.', value, { event: snake(name) })
  for (const [name, value] of Object.entries(figures.deliver))
    counter('deliver', 'What delivery counts, by name.', value, { event: snake(name) })
  return samples
}

type Tell = (name: string, help: string, value: number, labels?: Record<string, string>) => void

function recordMetrics({ accounting, ...notices }: RecordFigures, gauge: Tell, counter: Tell): void {
  gauge('notices_due', 'Notices that are not in the queue yet.', notices.noticesDue)
  counter('notices', 'Notices to senders, since the data directory was made.', notices.noticesMade)
  counter('notices_withheld', 'Notices that would have been too many for one address.', notices.noticesWithheld)
  counter('double_bounces', 'Notices that bounced.', notices.doubleBounces)
  if (accounting === null) return
  gauge('accounting_behind_bytes', 'On disk in the logs, and not made into lines yet.', accounting.behindBytes)
  gauge('accounting_waiting_bytes', 'Lines that are not known to be on disk.', accounting.waitingBytes)
  counter('accounting_lines', 'Lines of acct.json, since the start.', accounting.lines)
  counter('accounting_problems', 'Times that acct.json could not be written.', accounting.problems)
}

const snake = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
