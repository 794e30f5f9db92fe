/** Buffers for content that is not committed yet, kept for the next transaction: most messages fit the small ones, and a stage that spills the large. */
import { KiB } from '../kernel/units.ts'

export const stageBuffers = [
  { bytes: 16 * KiB, keptMax: 512 },
  { bytes: 128 * KiB, keptMax: 64 },
] as const
