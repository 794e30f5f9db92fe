/** Bounds of the disk. */
import { limit } from '../../kernel/limits.ts'

export const readsMax = limit({
  name: 'disk.reads',
  value: 4,
  unit: 'reads under way',
  owner: 'adapters/embedded',
  why: 'A cold backlog must not take the whole thread pool from DNS and others; four keep a disk busy.',
  breach: 'reads wait',
})
