/** Buffers that are kept for the next message: as many as there are connections with one each; larger messages are allocated. */
import { BufferPool } from '../kernel/buffer-pool.ts'
import { KiB } from '../kernel/units.ts'

export const pooledBuffers = [
  { bytes: 4 * KiB, keptMax: 1_000 },
  { bytes: 16 * KiB, keptMax: 1_000 },
  { bytes: 128 * KiB, keptMax: 100 },
] as const

export const pool = new BufferPool(pooledBuffers)
