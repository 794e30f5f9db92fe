/**
 * The composition root: picks adapters, starts threads, watches over them, stops them in order.
 *
 *   main       this file: configuration, lock, admin API, supervision, drain on SIGTERM
 *   log        one per disk, blocks (log-thread.ts)
 *   scheduler  owns the queue (scheduler-thread.ts); on a small machine it also accepts and delivers
 *   events     reads what the others have written down, keeps the message store, answers about messages (events-thread.ts)
 *   intake     as many as configured, each with its listeners and its log (intake-thread.ts)
 *   deliver    as many as configured (deliver-thread.ts); in the sandbox main also holds the capture sink
 *
 *   start   lock → spool directories → directory of tenants → capture sink → admin API → mail threads (mail-threads.ts): recovery, listeners → "ready"
 *   drain   listeners → transactions under way → deliveries under way → outcomes on disk → log thread → lock
 *
 * When a disk fails, the mail threads are ended, the listeners answer 421, and both are started again by normal recovery, with back-off. When the
 * scheduler or the log thread dies of a broken invariant, the process exits and whoever supervises it starts it anew: there is one recovery path. Intake
 * and deliver threads are replaced while the others go on.
 */
import { availableParallelism } from 'node:os'
import {
  type AdminServer,
  createAdminServer,
  createDirectoryView,
  type DirectoryView,
  type EngineView,
  type SandboxCredentials,
} from '../admin/admin.ts'
import { openDisk } from '../adapters/embedded/embedded.ts'
import { type Config, ensureAdminToken, needsAdminToken } from '../config/config.ts'
import { systemClock } from '../kernel/clock.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { systemRandom } from '../kernel/random.ts'
import type { Directory } from '../ports/directory.ts'
import type { Outbox } from '../ports/outbox.ts'
import { type CaptureSink, sandboxCredentials, startCaptureSink } from '../sandbox/sandbox.ts'
import { makeSpoolDirectories, takeSpoolLock } from '../spool/spool.ts'
import { confirmLink, type QuotaRows } from '../tenancy/tenancy.ts'
import { announce } from './announce.ts'
import { descriptorLimit, fitDescriptors } from './descriptors.ts'
import { type Layout, layoutOf } from './layout.ts'
import { watchHealth } from './health-watch.ts'
import { drainMsMax } from './limits.ts'
import { type Log, openLog } from './log.ts'
import { startDns } from './delivery.ts'
import { sandboxView } from './sandbox-view.ts'
import { untilSignal } from './signals.ts'
import { Supervisor } from './supervisor.ts'
import { openTenants } from './tenants.ts'
import { createView } from './view.ts'

export interface AppOptions {
  readonly config: Config
  readonly warnings: readonly string[]
  readonly version: string
}

/** Runs until SIGTERM or SIGINT; settles with the exit code. @throws PosthasteError when it cannot start */
export async function startApp(options: AppOptions): Promise<number> {
  const { version } = options
  const { config, layout, log } = settle(options)
  // From the beginning: whoever ends it while it starts must not find it killed.
  const asked = askedToEnd(log)
  const releaseLock = takeSpoolLock(config.dataDirectory)
  const disk = openDisk(config.dataDirectory)
  makeSpoolDirectories(disk, Math.max(1, layout.intake))
  const { directory, quotaMemory, quotaRows, suppressed, store, follow } = await openTenants(config, log)
  const sink = config.sandbox ? await startSink(config) : null
  const supervisor = new Supervisor({
    config,
    version,
    layout,
    log,
    sandboxSink: sink,
    directory: () => directory.snapshot(),
    quotaMemory,
    suppressed,
    store,
    onConfirmSender: (token) =>
      confirmLink(directory, token, (error) => log.error({ error: String(error) }, 'a sender cannot be confirmed')),
  })
  follow(supervisor)
  const credentials = config.sandbox ? credentialsOf(directory, config, supervisor) : null
  const token = needsAdminToken(config) ? ensureAdminToken(config.dataDirectory) : config.management.token
  const view = createView({
    config,
    version,
    disk,
    supervisor,
    store,
    tenantName: (id) => directory.snapshot().intake.find((tenant) => tenant.id === id)?.name ?? id,
    clock: systemClock,
    directory: directoryView(directory, quotaRows, config, supervisor),
    sandbox: sink === null ? null : sandboxView(sink),
    ...(credentials !== null && { sandboxCredentials: credentials }),
  })
  const admin = adminServer(view, config, token, log)
  const end = async (drainMs: number): Promise<void> => {
    await supervisor.stop(drainMs)
    await admin.stop()
    await sink?.close()
    await directory.close()
    releaseLock()
  }
  try {
    await admin.start()
    if ((await Promise.race([supervisor.start(), asked])) === 0) {
      await end(drainMsMax.value)
      return 0
    }
    watchHealth(supervisor, log, systemClock)
    announce({
      config,
      version,
      engine: supervisor,
      management: admin.address,
      tokenInUse: token !== null,
      credentials: (await credentials?.()) ?? null,
    })
  } catch (error) {
    await end(0)
    throw error
  }
  const exitCode = await Promise.race([asked, supervisor.died])
  await end(exitCode === 0 ? drainMsMax.value : 0)
  log.info({}, 'stopped')
  return exitCode
}

/** What the machine makes of the configuration. */
function settle({ config: given, warnings }: AppOptions): { config: Config; layout: Layout; log: Log } {
  const layout = layoutOf(given.threads, availableParallelism(), process.platform === 'linux')
  const { config, warning } = fitDescriptors(given, descriptorLimit(), layout.deliver)
  const log = openLog(config.log)
  for (const text of warnings) log.warn({ warning: text }, 'configuration')
  if (warning !== null) log.warn({ warning }, 'open files')
  return { config, layout, log }
}

function askedToEnd(log: Log): Promise<number> {
  return untilSignal({
    source: process,
    clock: systemClock,
    onDrain: (signal) => log.info({ signal }, 'draining; a second signal ends at once'),
    // Recovery is made for it.
    onImpatience: () => process.exit(130),
  }).then(() => 0)
}

function adminServer(view: EngineView, { management, hostname }: Config, token: string | null, log: Log): AdminServer {
  const { address, port } = management
  const onError = (error: Error): void => log.error({ error: error.stack }, 'admin request failed')
  return createAdminServer(view, { address, port, token, names: [hostname], onError })
}

function directoryView(directory: Directory, quotaRows: QuotaRows, config: Config, outbox: Outbox): DirectoryView {
  return createDirectoryView({
    directory,
    quotaRows,
    dns: startDns(config, systemClock, systemRandom),
    outbox,
    clock: systemClock,
    random: systemRandom,
    hostname: config.hostname,
    publicUrl: config.http.publicUrl,
  })
}

/** What to try the sandbox with, and where. */
function credentialsOf(
  directory: Directory,
  { dataDirectory }: Config,
  supervisor: Supervisor,
): () => Promise<SandboxCredentials> {
  const secrets = sandboxCredentials(directory, dataDirectory)
  return async () => ({
    ...(await secrets()),
    smtp: supervisor.addresses[0] ?? null,
    http: supervisor.httpAddresses[0] ?? null,
  })
}

async function startSink(config: Config): Promise<CaptureSink> {
  try {
    return await startCaptureSink({
      directory: `${config.dataDirectory}/sandbox`,
      clock: systemClock,
      random: systemRandom,
    })
  } catch (cause) {
    if (cause instanceof PosthasteError) throw cause
    throw new PosthasteError(
      'sandbox_store',
      `the sandbox cannot keep captured mail in ${config.dataDirectory}/sandbox: ${(cause as Error).message}`,
      'remove that directory, or choose another place with --data DIR',
      { exitCode: 73, cause },
    )
  }
}
