/** Bounds of the disk and of databases on it. */
import { limit } from '../../kernel/limits.ts'
import { secondMs } from '../../kernel/units.ts'

export const readsMax = limit({
  name: 'disk.reads',
  value: 4,
  unit: 'reads under way',
  owner: 'adapters/embedded',
  why: 'A cold backlog must not take the whole thread pool from DNS and others; four keep a disk busy.',
  breach: 'reads wait',
})

export const lockWaitMsMax = limit({
  name: 'database.lock-wait',
  value: 1 * secondMs,
  unit: 'ms',
  owner: 'adapters/embedded',
  why: 'A process that is being replaced needs a moment to close its database; nothing else may hold it.',
  breach: 'database_in_use, and the program does not start',
})
