/** Bounds of what a message takes while it is made ready. */
import { limit } from '../kernel/limits.ts'
import { KiB, MiB } from '../kernel/units.ts'
import { pooledBuffers } from './pool.ts'

const owner = 'compose'

export const blockBytes = limit({
  name: 'compose.block',
  value: 256 * KiB,
  unit: 'bytes',
  owner,
  why: 'A message too large to hold has one block in memory, and one more while dots are stuffed.',
  breach: 'read in parts',
})

export const signedHeaderBytesMax = limit({
  name: 'compose.signed-header',
  value: MiB,
  unit: 'bytes',
  owner,
  why: '4 blocks of 256 KiB held while a large message is prepared. Headers of real mail stay below 100 KB.',
  breach: 'a message too large to hold goes out unsigned',
})

export const pooledBytesMax = limit({
  name: 'compose.pool',
  value: pooledBuffers.reduce((sum, { bytes, keptMax }) => sum + bytes * keptMax, 0),
  unit: 'bytes',
  owner,
  why: '1,000 × 4 KiB + 1,000 × 16 KiB + 100 × 128 KiB. Larger messages are rare enough to be allocated.',
  breach: 'the buffer is given back to the system',
})
