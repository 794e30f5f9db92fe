/** `posthaste status`: one screen that says first whether mail flows, then what is in the way. */
import type { Command } from 'commander'
import { formatBytes, formatDuration, MiB } from '../../kernel/units.ts'
import type { EngineStatus, RecordStatus } from '../view.ts'
import type { CliContext } from './context.ts'
import { ask, withEngineOptions, type EngineFlags } from './engine-client.ts'
import { count, rate, table, type Column } from './table.ts'

export function registerStatus(program: Command, context: CliContext): void {
  withEngineOptions(program.command('status').description('whether mail flows, and what is in the way')).action(
    async (flags: EngineFlags) => {
      const status = await ask<EngineStatus>(context, flags, '/api/v1/admin/status')
      if (status !== null) context.print(describeStatus(context, status))
    },
  )
}

function describeStatus(context: CliContext, status: EngineStatus): string {
  const parts = [headline(context, status), summary(context, status)]
  if (status.sites.length > 0) parts.push(sites(context, status))
  parts.push(logs(context, status), threads(context, status))
  return parts.join('\n\n')
}

const styles = { ready: 'green', starting: 'yellow', draining: 'yellow', degraded: 'red' } as const

function headline(context: CliContext, status: EngineStatus): string {
  const state = context.style(styles[status.state], status.state.toUpperCase())
  const sandbox = status.sandbox ? ' (sandbox: nothing leaves this machine)' : ''
  const first = `${context.style('bold', status.hostname)} is ${state}${sandbox}, up ${formatDuration(status.uptimeMs)}, posthaste ${status.version}`
  return [first, ...status.reasons.map((reason) => context.style('red', `  ! ${reason}`))].join('\n')
}

/** More than the engine writes in a second or two: then it is worth a word. */
const storeBehindBytes = 256 * MiB

function summary(context: CliContext, status: EngineStatus): string {
  const { rates, totals, queue, connections, spool, store, record, setAside } = status
  const oldest = queue.messages === 0 ? '' : `, oldest ${formatDuration(queue.oldestMs)}`
  const lines = [
    [
      'last minute',
      `${rate(rates.acceptedPerSecond1m)}/s accepted, ${rate(rates.deliveredPerSecond1m)}/s delivered, ${rate(rates.deferredPerSecond1m)}/s deferred, ${rate(rates.bouncedPerSecond1m)}/s bounced`,
    ],
    [
      'since start',
      `${count(totals.accepted)} accepted for ${count(totals.recipients)} recipients, ${count(totals.delivered)} delivered, ${count(totals.bounced)} bounced, ${count(totals.expired)} expired, ${count(totals.suppressed)} suppressed, ${count(totals.refused)} refused`,
    ],
    [
      'queue',
      `${count(queue.messages)} waiting: ${count(queue.ready)} ready, ${count(queue.deferred)} deferred, ${count(queue.inFlight)} in flight${oldest}`,
    ],
    [
      'connections',
      `${count(connections.smtpIn)} in, ${count(connections.deliverActive)} out, ${count(connections.deliverIdle)} out and idle`,
    ],
    [
      'spool',
      `${spool.state}, ${formatBytes(spool.freeBytes)} free on disk (new mail is refused below ${formatBytes(spool.reserveBytes)})`,
    ],
    ...(store === null
      ? []
      : [
          [
            'store',
            `${count(store.messages)} messages of ${count(store.days)} ${store.days === 1 ? 'day' : 'days'}, ${formatBytes(store.bytes)}${store.behindBytes > storeBehindBytes ? `, ${formatBytes(store.behindBytes)} behind` : ''}`,
          ] as const,
        ]),
    ...(record === null ? [] : [['notices', noticesLine(record)] as const]),
    ...(record?.accounting?.problem ? [['accounting', accountingLine(record.accounting)] as const] : []),
    ...(setAside === 0
      ? []
      : [
          ['set aside', `${count(setAside)} messages over which the program has died twice; see strikes.json`] as const,
        ]),
  ] as const
  return lines
    .map(([name, text]) => {
      const alarming =
        name === 'set aside' ||
        name === 'accounting' ||
        (name === 'spool' && spool.state !== 'open') ||
        (name === 'store' && (store?.behindBytes ?? 0) > storeBehindBytes)
      return `${context.style('dim', name.padEnd(12))} ${alarming ? context.style('red', text) : text}`
    })
    .join('\n')
}

function noticesLine({ notices }: RecordStatus): string {
  const { due, made, withheld, doubleBounces } = notices
  const more = [
    ...(due > 0 ? [`${count(due)} on their way`] : []),
    ...(withheld > 0 ? [`${count(withheld)} withheld, being too many for one address`] : []),
    ...(doubleBounces > 0 ? [`${count(doubleBounces)} came to nothing`] : []),
  ]
  return [`${count(made)} made`, ...more].join(', ')
}

const accountingLine = ({ behindBytes, problem }: NonNullable<RecordStatus['accounting']>): string =>
  `acct.json cannot be written (${problem}); ${formatBytes(behindBytes)} wait for it in the logs, and mail goes on`

function sites(context: CliContext, { sites: all }: EngineStatus): string {
  const columns: Column[] = [
    { title: 'SITE' },
    { title: 'QUEUED', align: 'right' },
    { title: 'IN FLIGHT', align: 'right' },
    { title: 'CONNECTIONS', align: 'right' },
    { title: 'STATE' },
    { title: 'LAST COMPLAINT' },
  ]
  const rows = all.map((site) => [
    site.name,
    count(site.queued),
    count(site.inFlight),
    count(site.connections),
    site.paused ? 'paused' : 'open',
    site.lastReply ?? '',
  ])
  return table(context, columns, rows)
}

function logs(context: CliContext, { spool }: EngineStatus): string {
  const columns: Column[] = [
    { title: 'LOG' },
    { title: 'SEGMENTS', align: 'right' },
    { title: 'SIZE', align: 'right' },
    { title: 'COMMITTED', align: 'right' },
  ]
  return table(
    context,
    columns,
    spool.logs.map((log) => [log.name, count(log.segments), formatBytes(log.bytes), count(log.committedPosition)]),
  )
}

function threads(context: CliContext, status: EngineStatus): string {
  const columns: Column[] = [
    { title: 'THREAD' },
    { title: 'CPU', align: 'right' },
    { title: 'RESTARTS', align: 'right' },
    { title: 'STATE' },
  ]
  const rows = status.threads.map((thread) => [
    thread.name,
    `${Math.round(thread.cpuPercent)} %`,
    count(thread.restarts),
    thread.state,
  ])
  return table(context, columns, rows)
}
