/**
 * `posthaste spool fsck | stat | dump`: reads the files of the spool and changes nothing, whether an engine runs on them or not. What a running
 * engine is writing at that moment may look torn. `rebuild` writes, and wants the engine stopped.
 */
import { createHash } from 'node:crypto'
import type { Command } from 'commander'
import { openDisk } from '../../adapters/embedded/embedded.ts'
import { findConfigFile, locateEngine } from '../../config/config.ts'
import { systemClock } from '../../kernel/clock.ts'
import { PosthasteError } from '../../kernel/errors.ts'
import { formatBytes } from '../../kernel/units.ts'
import type { Outcome } from '../../model/outcome.ts'
import type { Disk } from '../../ports/disk.ts'
import {
  type DumpEntry,
  dumpSpool,
  type FsckReport,
  fsckSpool,
  rebuildQueue,
  spoolRoot,
  statSpool,
  takeSpoolLock,
} from '../../spool/spool.ts'
import { toWire } from '../wire.ts'
import { printable, type CliContext } from './context.ts'
import { overridesOf, withConfigOptions, type ConfigFlags } from './flags.ts'
import { count, table } from './table.ts'

type Flags = ConfigFlags & { readonly json?: boolean }
type RebuildFlags = Flags & { readonly force?: boolean }
type DumpFlags = Flags & { readonly pending?: boolean; readonly raw?: string }

const exitDamaged = 65

export function registerSpool(program: Command, context: CliContext): void {
  const spool = program
    .command('spool')
    .description('look into the spool on disk, whether an engine runs or not; only rebuild changes anything')
  withConfigOptions(
    spool
      .command('fsck')
      .description('check every byte against the legal states after a crash; exit code 65 if damaged'),
  )
    .option('--json', 'as JSON')
    .action((flags: Flags) => reading(context, flags, (disk) => fsck(context, flags, disk)))
  withConfigOptions(spool.command('stat').description('how large it is, and how old'))
    .option('--json', 'as JSON')
    .action((flags: Flags) => reading(context, flags, (disk) => stat(context, flags, disk)))
  withConfigOptions(spool.command('dump').description('list every message in it, with what became of each recipient'))
    .option('--json', 'one JSON object per line')
    .option('--pending', 'only messages with a recipient that has not come to an end')
    .option('--raw <id>', 'write the content of this message as it was accepted, without the header fields we add')
    .action((flags: DumpFlags) => reading(context, flags, (disk) => dump(context, flags, disk)))
  withConfigOptions(
    spool
      .command('rebuild')
      .description(
        'when no checkpoint is whole: make a queue from what the logs hold, and list what may be sent twice',
      ),
  )
    .option('--force', 'although there is a checkpoint that is whole')
    .action((flags: RebuildFlags) => rebuild(context, flags))
}

function rebuild(context: CliContext, flags: RebuildFlags): void {
  reading(context, flags, (disk, dataDirectory) => {
    const release = takeSpoolLock(dataDirectory)
    try {
      const report = rebuildQueue(disk, systemClock, flags.force === true)
      for (const name of report.quarantined) context.print(`Set aside: ${name}`)
      if (report.inDoubt.size > 0) context.print('These may have been delivered before, and will be sent:')
      dumpSpool(disk, (entry) => {
        if (report.inDoubt.has(entry.number)) context.print(`  ${lineOf(describeEntry(entry))}`)
      })
      context.print(
        `Checkpoint ${report.checkpoint} is written: ${count(report.recipients)} recipients are queued, ${count(report.inDoubt.size)} messages among theirs may be sent twice. The next start delivers them.`,
      )
    } finally {
      release()
    }
  })
}

/** Opens the spool that the configuration names, and turns what goes wrong into sentences. */
function reading(context: CliContext, flags: Flags, read: (disk: Disk, dataDirectory: string) => void): void {
  const file = findConfigFile(flags.config, context.env)
  const { dataDirectory } = locateEngine(file, context.env, { cwd: context.cwd, ...overridesOf(flags) })
  const disk = openDisk(dataDirectory)
  try {
    if (disk.list(spoolRoot).length === 0) {
      throw new PosthasteError(
        'spool_missing',
        `there is no spool in ${dataDirectory}`,
        'Name the right place by --data or --config; the first `posthaste start` makes a spool.',
        { exitCode: 1 },
      )
    }
    read(disk, dataDirectory)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (error instanceof PosthasteError || code === undefined || !/^E[A-Z]+$/.test(code)) throw error
    throw new PosthasteError(
      'spool_unreadable',
      `the spool in ${dataDirectory} cannot be read: ${message}`,
      code === 'EACCES' || code === 'EPERM'
        ? 'Run this as the user that Posthaste runs as.'
        : 'If the disk reports errors, copy what is readable to another one before anything else.',
      { exitCode: 74, cause: error },
    )
  }
}

function fsck(context: CliContext, flags: Flags, disk: Disk): void {
  let report = fsckSpool(disk)
  // Beside a running engine a batch may be committed between two reads and look like a gap: damage stays where it is, that does not.
  if (!report.clean) report = inBoth(report, fsckSpool(disk))
  if (!report.clean) context.exitCode = exitDamaged
  if (flags.json === true) return context.print(JSON.stringify(toWire(report)))
  for (const log of report.logs) context.print(describeLog(context, log))
  context.print(
    `${count(report.submissions)} messages, ${count(report.pendingRecipients)} recipients still to be delivered.`,
  )
  if (report.orphanChunks > 0)
    context.print(
      `${count(report.orphanChunks)} pieces of messages that were never committed: their clients gave up, or are sending right now. Ignored.`,
    )
  for (const { number, whole } of report.checkpoints)
    if (!whole)
      context.print(
        `Checkpoint ${number} is not whole: it was being written when the process ended, or the disk lost some of it.`,
      )
  if (report.queueLost !== null) context.print(`${context.style('red', 'lost')}: ${report.queueLost}`)
  for (const id of report.damagedSubmissions)
    context.print(`${context.style('red', 'damaged')}: message ${id} has lost part of its content and is never sent.`)
  for (const name of report.quarantined) context.print(`Set aside by an earlier start: ${spoolRoot}/quarantine/${name}`)
  if (report.queueLost !== null)
    return context.print('A start is refused. `posthaste spool rebuild` makes a queue of what the logs hold.')
  context.print(
    report.clean
      ? context.style('green', 'The spool is clean.')
      : `${context.style('red', 'The spool is damaged.')} The next start copies damaged stretches to ${spoolRoot}/quarantine and delivers the rest; keep a copy of the spool, and check the disk.`,
  )
}

/** What two checks in a row complain of. */
function inBoth(first: FsckReport, second: FsckReport): FsckReport {
  const logs = second.logs.map((log, i) => {
    const before = first.logs[i]
    return {
      ...log,
      damage: log.damage.filter(({ position }) => before?.damage.some((stretch) => stretch.position === position)),
      brokenFiles: log.brokenFiles.filter((path) => before?.brokenFiles.includes(path)),
    }
  })
  const damagedSubmissions = second.damagedSubmissions.filter((id) => first.damagedSubmissions.includes(id))
  const clean =
    second.queueLost === null &&
    damagedSubmissions.length === 0 &&
    logs.every(({ damage, brokenFiles }) => damage.length + brokenFiles.length === 0)
  return { ...second, logs, damagedSubmissions, clean }
}

/** In the words of the table of states in spool/recovery.ts. */
function describeLog(context: CliContext, log: FsckReport['logs'][number]): string {
  const lines = [
    `${context.style('bold', `Log ${log.log}`)}: ${count(log.segments)} segments, ${count(log.records)} whole records`,
  ]
  if (log.tornBytes > 0) {
    lines.push(
      `  torn tail, ${formatBytes(log.tornBytes)}: a commit that was never acknowledged, or one that a running engine is writing. The next start cuts it off.`,
    )
  }
  const damaged = context.style('red', 'damaged')
  for (const { position, bytes } of log.damage)
    lines.push(`  ${damaged}: ${formatBytes(bytes)} at position ${position} were on disk once and cannot be read now.`)
  for (const path of log.brokenFiles)
    lines.push(`  ${damaged}: ${path} has no readable header. The next start moves it to quarantine.`)
  return lines.join('\n')
}

function stat(context: CliContext, flags: Flags, disk: Disk): void {
  const logs = statSpool(disk)
  const freeBytes = disk.freeBytes()
  if (flags.json === true) {
    const wire = logs.map(({ oldestAtMs, ...log }) => ({ ...log, oldestAt: timeOrNull(oldestAtMs) }))
    return context.print(JSON.stringify(toWire({ logs: wire, freeBytes })))
  }
  const rows = logs.map((log) => [
    log.log,
    count(log.segments),
    formatBytes(log.bytes),
    String(log.firstSegment),
    String(log.lastSegment),
    timeOrNull(log.oldestAtMs) ?? '–',
  ])
  const columns = [
    { title: 'LOG' },
    { title: 'SEGMENTS', align: 'right' },
    { title: 'SIZE', align: 'right' },
    { title: 'FIRST', align: 'right' },
    { title: 'LAST', align: 'right' },
    { title: 'SINCE' },
  ] as const
  context.print(`${table(context, columns, rows)}\n${formatBytes(freeBytes)} are free on this disk.`)
}

function dump(context: CliContext, flags: DumpFlags, disk: Disk): void {
  if (flags.raw !== undefined) return dumpRaw(context, flags.raw.toLowerCase(), disk)
  dumpSpool(disk, (entry) => {
    if (flags.pending === true && entry.pending.length === 0) return
    const view = describeEntry(entry)
    context.print(flags.json === true ? JSON.stringify(view) : lineOf(view))
  })
}

function dumpRaw(context: CliContext, id: string, disk: Disk): void {
  let found: DumpEntry | null = null
  dumpSpool(disk, (entry) => {
    if (entry.submission.id === id) found = entry
  })
  const entry = found as DumpEntry | null
  if (entry === null) {
    throw new PosthasteError(
      'message_unknown',
      `the spool has no message ${id}`,
      '`posthaste spool dump` lists them.',
      {
        exitCode: 1,
      },
    )
  }
  if (entry.content === null) {
    throw new PosthasteError(
      'message_damaged',
      `part of the content of message ${id} is gone`,
      'Ask its sender to send it again; `posthaste spool fsck` says what else is damaged.',
      { exitCode: exitDamaged },
    )
  }
  context.stdout.write(entry.content)
}

type EntryView = ReturnType<typeof describeEntry>

/** As JSON has it, so the names are those of the wire. */
function describeEntry({ number, submission, content, outcomes, pending }: DumpEntry) {
  const waiting = new Set(pending)
  const recipients = submission.recipients.map((address, index) => {
    const attempts: { outcome: Outcome['kind']; code: number; enhanced: string; text: string; at: string }[] = []
    const seen = new Set<string>()
    let nextAttemptAtMs = 0
    for (const { atMs, recipients: settled } of outcomes) {
      for (const { recipient, attempt, outcome, nextAttemptAtMs: next } of settled) {
        // Recovery writes the newest outcomes again: the same one may stand there twice.
        if (recipient !== index || seen.has(`${attempt} ${outcome.kind}`)) continue
        seen.add(`${attempt} ${outcome.kind}`)
        const { kind, code, enhanced, text } = outcome
        attempts.push({ outcome: kind, code, enhanced, text, at: new Date(atMs).toISOString() })
        nextAttemptAtMs = next
      }
    }
    // The outcome log goes back only as far as the queue needs it.
    const state = waiting.has(index)
      ? attempts.length === 0
        ? 'queued'
        : 'deferred'
      : (attempts.at(-1)?.outcome ?? 'settled')
    return { address, state, attempts, next_attempt_at: state === 'deferred' ? timeOrNull(nextAttemptAtMs) : null }
  })
  return {
    id: submission.id,
    number,
    accepted_at: new Date(submission.acceptedAtMs).toISOString(),
    tenant: submission.tenant,
    return_path: submission.returnPath,
    recipients,
    content_bytes: submission.contentBytes,
    /** Null: part of the content is gone. */
    sha256: content === null ? null : createHash('sha256').update(content).digest('hex'),
    chunks: submission.chunks.length,
  }
}

function lineOf(view: EntryView): string {
  const recipients = view.recipients.map(({ address, state }) => `${address} ${state}`).join(', ')
  return printable(
    `${view.id}  ${view.accepted_at}  <${view.return_path}> to ${recipients}  ${view.content_bytes} B  ${view.sha256 ?? 'content damaged'}`,
  )
}

const timeOrNull = (ms: number): string | null => (ms === 0 ? null : new Date(ms).toISOString())
