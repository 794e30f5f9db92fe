/** Sizes of segments and windows: what fits, and what an existing spool was made with. */
import { PosthasteError } from '../kernel/errors.ts'
import { formatBytes } from '../kernel/units.ts'
import type { Disk } from '../ports/disk.ts'
import type { ChannelMemory } from './channel.ts'
import { spoolRoot } from './files.ts'
import { blockBytes } from './layout.ts'
import { segmentsPerWindowMax } from './limits.ts'
import { openLogFiles } from './segments.ts'

/** Batches must not cross the end of either, and both end on a block. @throws PosthasteError `spool_sizes` */
export function checkSizes(segmentBytes: number, windowBytes: number): void {
  const divides = segmentBytes % windowBytes === 0 || windowBytes % segmentBytes === 0
  const whole = segmentBytes % blockBytes === 0 && windowBytes % blockBytes === 0
  if (divides && whole && windowBytes <= segmentsPerWindowMax.value * segmentBytes) return
  throw new PosthasteError(
    'spool_sizes',
    `spool.segment_size ${formatBytes(segmentBytes)} and spool.window_size ${formatBytes(windowBytes)} do not fit each other`,
    `give both in MiB, so that one divides the other and a window has at most ${segmentsPerWindowMax.value} segments; 64MiB and 32MiB are the defaults`,
    { exitCode: 78 },
  )
}

/**
 * Positions are counted in segments: with segments of another size every one of them would mean something else.
 * @throws PosthasteError `spool_segment_size`
 */
export function refuseOtherSegmentSize(disk: Disk, memory: ChannelMemory): void {
  const { segments } = openLogFiles(disk, `${spoolRoot}/${memory.name}`)
  const other = segments.find(({ header }) => header.segmentBytes !== memory.segmentBytes)
  if (other === undefined) return
  const [was, is] = [other.header.segmentBytes, memory.segmentBytes].map(formatBytes)
  throw new PosthasteError(
    'spool_segment_size',
    `log ${memory.name} was made of segments of ${was}, and spool.segment_size now asks for ${is}`,
    'set spool.segment_size back to what it was, or choose a new data directory once this one has delivered its mail; nothing was changed',
    { exitCode: 78 },
  )
}
