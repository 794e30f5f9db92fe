/** What the admin API sees of the running program. */
import type { DirectoryView, EngineStatus, EngineView, RecordStatus, SandboxStoreView } from '../admin/admin.ts'
import type { Config } from '../config/config.ts'
import type { Clock } from '../kernel/clock.ts'
import { uuidBytes, uuidTimeMs } from '../kernel/ids.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { dayMs, secondMs } from '../kernel/units.ts'
import type { Disk } from '../ports/disk.ts'
import { type MessageRecord, StoreUnavailable } from '../ports/message-store.ts'
import { statSpool } from '../spool/spool.ts'
import type { EngineFigures, RecordFigures } from './exchange.ts'
import { noTotals } from './figures.ts'
import { describeMessage } from './message-view.ts'
import type { RunningThread } from './mail-threads.ts'
import { metricsOf } from './metrics.ts'
import { CpuShares, Rates } from './rates.ts'
import type { StoreClient } from './store-client.ts'
import type { Supervisor } from './supervisor.ts'

export interface ViewOptions {
  readonly config: Config
  readonly version: string
  readonly disk: Disk
  readonly supervisor: Supervisor
  readonly clock: Clock
  readonly store: StoreClient
  /** The same for one that only the configuration file knows. */
  readonly tenantName: (tenantId: string) => string
  readonly directory: DirectoryView
  readonly sandboxCredentials?: NonNullable<EngineView['sandboxCredentials']>
  readonly sandbox: SandboxStoreView | null
}

export function createView(options: ViewOptions): EngineView {
  const { config, supervisor, directory, clock } = options
  const startedMs = clock.monotonicMs()
  const rates = new Rates()
  const sample = (): void => {
    void supervisor.figures().then((figures) => figures !== null && rates.add(figures.totals))
    clock.after(secondMs, sample)
  }
  sample()
  const cpu = new CpuShares()

  return {
    health: () => supervisor.health(),
    sandbox: options.sandbox,
    directory,
    ...(options.sandboxCredentials !== undefined && { sandboxCredentials: options.sandboxCredentials }),
    async status(): Promise<EngineStatus> {
      const [figures, threads] = await Promise.all([supervisor.figures(), cpu.read(supervisor, clock)])
      return {
        version: options.version,
        hostname: config.hostname,
        sandbox: config.sandbox,
        uptimeMs: Math.round(clock.monotonicMs() - startedMs),
        state: stateOf(supervisor),
        reasons: [...supervisor.health().reasons, ...storeReasons(supervisor.workers())],
        rates: rates.perSecond(),
        totals: { ...(figures?.totals ?? noTotals()), refused: refusedBy(figures) },
        queue: describeQueue(figures, clock.nowMs()),
        sites: figures?.sites ?? [],
        connections: figures?.connections ?? { smtpIn: 0, deliverActive: 0, deliverIdle: 0 },
        spool: describeSpool(options, figures),
        store: figures?.store ?? null,
        record: describeRecord(figures?.record ?? null),
        threads,
        setAside: supervisor.setAside,
      }
    },
    async message(id) {
      const bytes = uuidBytes(id)
      if (bytes === null) return null
      const found = await findAny(options, id)
      if (found !== null) return describeMessage(found, options.tenantName(found.tenant))
      return uuidTimeMs(bytes) < clock.nowMs() - config.store.retentionDays * dayMs ? { expired: true } : null
    },
    metrics: async () => metricsOf(await supervisor.figures(), supervisor, startedMs, clock),
  }
}

/** Whoever reads one word of all this must not read "ready" while mail is refused. */
export function stateOf(supervisor: Pick<Supervisor, 'state' | 'health'>): EngineStatus['state'] {
  return supervisor.state === 'ready' && !supervisor.health().ready ? 'degraded' : supervisor.state
}

/** Messages, by SMTP and by HTTP. */
export function refusedBy(figures: Pick<EngineFigures, 'intake'> | null): number {
  return (figures?.intake['messagesRefused'] ?? 0) + (figures?.intake['httpMessagesRefused'] ?? 0)
}

/** What no health check says, because mail is accepted all the same, until the disk is full. */
export function storeReasons(workers: readonly Pick<RunningThread, 'name' | 'state' | 'restarts'>[]): string[] {
  const events = workers.find(({ name }) => name === 'events')
  if (events === undefined || events.state === 'running' || events.restarts === 0) return []
  return [
    `the message store is not kept: its thread has died ${events.restarts} times, and the log has the reason. Nobody learns what became of messages, and the spool grows until it works again.`,
  ]
}

function describeRecord(record: RecordFigures | null): RecordStatus | null {
  if (record === null) return null
  const { noticesDue, noticesMade, noticesWithheld, doubleBounces, accounting } = record
  return {
    notices: { due: noticesDue, made: noticesMade, withheld: noticesWithheld, doubleBounces },
    accounting:
      accounting === null
        ? null
        : { behindBytes: accounting.behindBytes + accounting.waitingBytes, problem: accounting.presentProblem },
  }
}

async function findAny({ store, config }: ViewOptions, id: string): Promise<MessageRecord | null> {
  const code = 'store_unavailable'
  if (!config.store.enabled)
    throw new PosthasteError(code, 'no message store is kept', 'Set store.enabled to true to have one.')
  try {
    return await store.findAny(id)
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error
    throw new PosthasteError(code, error.message, 'Ask again; "posthaste status" tells when the store is far behind.')
  }
}

function describeQueue(figures: EngineFigures | null, nowMs: number): EngineStatus['queue'] {
  if (figures === null) return { messages: 0, ready: 0, deferred: 0, inFlight: 0, oldestMs: 0 }
  const { ready, deferred, inFlight, oldestAtMs } = figures.queue
  const oldestMs = Number.isFinite(oldestAtMs) ? Math.max(0, nowMs - oldestAtMs) : 0
  return { messages: ready + deferred + inFlight, ready, deferred, inFlight, oldestMs }
}

function describeSpool(
  { config, disk, supervisor }: ViewOptions,
  figures: EngineFigures | null,
): EngineStatus['spool'] {
  const states = figures?.logs.map(({ state }) => state) ?? []
  const failed = supervisor.state === 'degraded' || states.includes('broken')
  return {
    logs: statSpool(disk).map(({ log, segments, bytes }) => ({
      name: log,
      segments,
      bytes,
      committedPosition: figures?.logs.find(({ name }) => name === log)?.committedPosition ?? 0,
    })),
    freeBytes: figures?.logs[0]?.freeBytes ?? disk.freeBytes(),
    reserveBytes: config.spool.reserveBytes,
    state: failed ? 'failed' : states.includes('full') ? 'full' : 'open',
  }
}
