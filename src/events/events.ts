/**
 * Stage 9, events: what became of every message, kept in SQLite for those who ask.
 *
 *   in   records of the logs, by whoever follows them: submissions, and outcomes of attempts; some come again after a crash
 *   out  answers by id, by list, by key of idempotency; lines in the accounting log (accounting/); and from where the logs must be read after a start
 *
 * Always true:
 *   1. What is asked for by a tenant is looked for among that tenant's messages only.
 *   2. A record that comes again changes nothing. A recipient's attempts only grow, and nothing follows its end.
 *   3. The rows on disk are never older than the positions on disk: positions are written after everything before them was made durable.
 *   4. A message has one day file for life, and its number tells which; so one file is all that is dropped with a day.
 *   5. It is used by one thread. Another one syncs its files and moves into them what was written ahead (store-disk.ts); nothing else opens them.
 *
 *   <directory>/catalogue.sqlite            positions of the logs
 *   <directory>/2026-07-01.sqlite (-wal)    messages accepted on that day, recipients, attempts
 *   <directory>/….sqlite.damaged-1          what was set aside
 *
 * A failure of any kind ends the table that met it. Opened again it begins at the positions, and the logs bring what was lost.
 */
export { AccountingLog, type AccountingFigures, type AccountingOptions } from './accounting/accounting.ts'
export { systemFiles, type AccountingFile, type AccountingFiles, type PlacedFile } from './accounting/files.ts'
export * as accountingLimits from './accounting/limits.ts'
export { type RotatedName, rotatedNames } from './accounting/names.ts'
export { RefusalFile } from './accounting/refusals.ts'
export { Claims, type ClaimsOptions, type HeldClaim } from './claims.ts'
export * as eventsLimits from './limits.ts'
export type { AttemptOutcome, KeyedMessage, MessageHead, MessageTable, StoreFigures } from './message-table.ts'
export { type PackedMessage, unpackMessage, unpackSummary } from './packed-message.ts'
export { type DiskWork, diskWorks, ownDisk, type StoreDisk } from './store-disk.ts'
export { openMessageStore, type StoreOptions } from './table.ts'
export type { DueNotice } from './tally/due-notices.ts'
export { type HardBounce, Tally, type TallyFigures, type TenantUsage } from './tally/tally.ts'
