/** Bounds of the process as a whole. All the others are joined to them in limit-table.ts. */
import { limit } from '../kernel/limits.ts'
import { secondMs } from '../kernel/units.ts'

const owner = 'app'

export const drainMsMax = limit({
  name: 'app.drain',
  value: 27 * secondMs,
  unit: 'ms',
  owner,
  why: 'SIGTERM to exit. The longest that a package manager waits before it loses patience is 30 s.',
  breach: 'what is under way is cut off, and sent again after the next start',
})

export const descriptorsReserved = limit({
  name: 'app.descriptors',
  value: 680,
  unit: 'open files',
  owner,
  why: '64 segments + 256 DNS questions + 256 connections of the admin API + 64 listeners + 40 others, beside the connections for mail.',
  breach: 'fewer connections for mail, with a warning at start',
})
