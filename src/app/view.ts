/** What the admin API sees: the engine's figures, rates over the last minute, and a message's history read from the logs. */
import type {
  AttemptView,
  EngineStatus,
  EngineView,
  MessageView,
  MetricSample,
  RecipientView,
  SandboxStoreView,
} from '../admin/admin.ts'
import type { Config } from '../config/config.ts'
import type { Clock } from '../kernel/clock.ts'
import { uuidBytes, uuidTimeMs } from '../kernel/ids.ts'
import { secondMs } from '../kernel/units.ts'
import type { Disk } from '../ports/disk.ts'
import { findSubmission, statSpool, type StoredOutcome } from '../spool/spool.ts'
import type { EngineFigures, EngineTotals, LiveRecipient } from './exchange.ts'
import type { Supervisor } from './supervisor.ts'

const rateWindowSeconds = 60

export interface ViewOptions {
  readonly config: Config
  readonly version: string
  readonly disk: Disk
  readonly supervisor: Supervisor
  readonly clock: Clock
  readonly sandbox: SandboxStoreView | null
}

export function createView(options: ViewOptions): EngineView {
  const { config, disk, supervisor, clock } = options
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
    async status(): Promise<EngineStatus> {
      const [figures, threads] = await Promise.all([supervisor.figures(), cpu.read(supervisor, clock)])
      const stats = statSpool(disk)
      const totals = figures?.totals ?? noTotals
      const states = figures?.logs.map(({ state }) => state) ?? []
      return {
        version: options.version,
        hostname: config.hostname,
        sandbox: config.sandbox,
        uptimeMs: Math.round(clock.monotonicMs() - startedMs),
        state: supervisor.state,
        reasons: supervisor.health().reasons,
        rates: rates.perSecond(),
        totals: { ...totals, refused: refusals(figures) },
        queue: {
          messages: (figures?.queue.ready ?? 0) + (figures?.queue.deferred ?? 0) + (figures?.queue.inFlight ?? 0),
          ready: figures?.queue.ready ?? 0,
          deferred: figures?.queue.deferred ?? 0,
          inFlight: figures?.queue.inFlight ?? 0,
          oldestMs:
            figures === null || !Number.isFinite(figures.queue.oldestAtMs)
              ? 0
              : Math.max(0, clock.nowMs() - figures.queue.oldestAtMs),
        },
        sites: figures?.sites ?? [],
        connections: figures?.connections ?? { smtpIn: 0, deliverActive: 0, deliverIdle: 0 },
        spool: {
          logs: stats.map(({ log, segments, bytes }) => ({
            name: log,
            segments,
            bytes,
            committedPosition: figures?.logs.find(({ name }) => name === log)?.committedPosition ?? 0,
          })),
          freeBytes: figures?.logs[0]?.freeBytes ?? disk.freeBytes(),
          reserveBytes: config.spool.reserveBytes,
          state:
            supervisor.state === 'degraded' || states.includes('broken')
              ? 'failed'
              : states.includes('full')
                ? 'full'
                : 'open',
        },
        threads,
      }
    },
    async message(id) {
      const bytes = uuidBytes(id)
      if (bytes === null) return null
      const found = findSubmission(disk, bytes)
      if (found === null) {
        const oldestAtMs = statSpool(disk)[0]?.oldestAtMs ?? 0
        return uuidTimeMs(bytes) < oldestAtMs ? { expired: true } : null
      }
      return describe(found, await supervisor.live(found.sequence))
    },
    metrics: async () => metricsOf(await supervisor.figures(), supervisor, startedMs, clock),
  }
}

const noTotals: EngineTotals = {
  accepted: 0,
  recipients: 0,
  delivered: 0,
  deferred: 0,
  bounced: 0,
  expired: 0,
  uncertain: 0,
}

function refusals(figures: EngineFigures | null): number {
  return figures?.intake['messagesRefused'] ?? 0
}

function describe(found: NonNullable<ReturnType<typeof findSubmission>>, live: readonly LiveRecipient[]): MessageView {
  const { submission, outcomes } = found
  return {
    id: submission.id,
    tenant: submission.tenant,
    from: submission.returnPath,
    acceptedAt: new Date(submission.acceptedAtMs).toISOString(),
    sizeBytes: submission.contentBytes,
    client: submission.client,
    recipients: submission.recipients.map((address, index) => recipientView(address, index, outcomes, live)),
  }
}

function recipientView(
  address: string,
  index: number,
  outcomes: readonly StoredOutcome[],
  live: readonly LiveRecipient[],
): RecipientView {
  const attempts: AttemptView[] = []
  const seen = new Set<number>()
  let last: RecipientView['state'] = 'queued'
  let nextAttemptAtMs = 0
  let mayBeDuplicate = false
  for (const { attempt, recipients } of outcomes) {
    for (const { recipient, outcome, attempt: number, nextAttemptAtMs: next } of recipients) {
      if (recipient !== index || seen.has(number)) continue
      seen.add(number)
      attempts.push({
        startedAt: new Date(attempt.startedAtMs).toISOString(),
        outcome: outcome.kind,
        stage: outcome.stage,
        code: outcome.code,
        enhanced: outcome.enhanced,
        text: outcome.text,
        host: attempt.host,
        address: attempt.address,
        source: attempt.source,
        tls: attempt.tls,
        reusedConnection: attempt.reusedConnection,
        connectedMs: attempt.connectedMs,
        envelopeMs: attempt.envelopeMs,
        finishedMs: attempt.finishedMs,
      })
      last = outcome.kind === 'uncertain' ? 'deferred' : outcome.kind
      nextAttemptAtMs = next
      mayBeDuplicate ||= outcome.kind === 'uncertain'
    }
  }
  const now = live.find(({ recipient }) => recipient === index)
  if (now !== undefined) {
    last = now.state
    nextAttemptAtMs = now.nextAttemptAtMs
    mayBeDuplicate ||= now.mayBeDuplicate
  }
  const waits = last === 'deferred' && nextAttemptAtMs > 0
  return {
    address,
    state: last,
    attempts,
    nextAttemptAt: waits ? new Date(nextAttemptAtMs).toISOString() : null,
    mayBeDuplicate,
  }
}

/** Totals once a second for a minute; the rate is the difference over the window. */
class Rates {
  readonly #samples: EngineTotals[] = []

  add(totals: EngineTotals): void {
    // An engine that was started again counts from nothing.
    if ((this.#samples.at(-1)?.accepted ?? 0) > totals.accepted) this.#samples.length = 0
    this.#samples.push({ ...totals })
    if (this.#samples.length > rateWindowSeconds + 1) this.#samples.shift()
  }

  perSecond(): EngineStatus['rates'] {
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    const seconds = Math.max(1, this.#samples.length - 1)
    const rate = (field: keyof EngineTotals): number =>
      first === undefined || last === undefined ? 0 : (last[field] - first[field]) / seconds
    return {
      acceptedPerSecond1m: rate('accepted'),
      deliveredPerSecond1m: rate('delivered'),
      deferredPerSecond1m: rate('deferred'),
      bouncedPerSecond1m: rate('bounced'),
    }
  }
}

/** Share of a core since the last look. */
class CpuShares {
  readonly #last = new Map<string, { atMs: number; microseconds: number }>()

  async read(supervisor: Supervisor, clock: Clock): Promise<EngineStatus['threads']> {
    const main = process.threadCpuUsage()
    const rows = [
      {
        name: 'main',
        state: 'running' as const,
        cpuPercent: this.#share('main', main.user + main.system, clock),
        restarts: 0,
      },
    ]
    for (const { name, worker } of supervisor.workers()) {
      const usage = await worker.cpuUsage().catch(() => null)
      rows.push({
        name,
        state: 'running',
        cpuPercent: usage === null ? 0 : this.#share(name, usage.user + usage.system, clock),
        restarts: supervisor.restarts,
      })
    }
    return rows
  }

  #share(name: string, microseconds: number, clock: Clock): number {
    const atMs = clock.monotonicMs()
    const last = this.#last.get(name)
    this.#last.set(name, { atMs, microseconds })
    const elapsedMs = last === undefined ? atMs : atMs - last.atMs
    return elapsedMs <= 0 ? 0 : Math.max(0, ((microseconds - (last?.microseconds ?? 0)) / 1_000 / elapsedMs) * 100)
  }
}

function metricsOf(
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
  for (const [name, value] of Object.entries(figures.intake))
    counter('intake', 'What intake counts, by name.', value, { event: snake(name) })
  for (const [name, value] of Object.entries(figures.deliver))
    counter('deliver', 'What delivery counts, by name.', value, { event: snake(name) })
  return samples
}

const snake = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
