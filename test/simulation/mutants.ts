/** Safeguards that can be taken away. A simulation that does not notice proves nothing. */
import type { LogSegments } from '../../src/spool/pins.ts'
import type { SpoolPins } from '../../src/spool/spool.ts'
import type { DiskFaults } from '../support/simulated-disk.ts'
import type { SpoolRig } from '../support/spool-rig.ts'

export type Mutant = 'none' | (typeof mutants)[number]
export const mutants = [
  'no fdatasync',
  'no directory sync',
  'renamed without directory sync',
  'reply before write',
  'crc off',
  'no salt',
  'checkpoint without sync',
  'checkpoint before its outcomes',
  "outcomes' position after the mail's",
  'reclaim before the checkpoint',
  'reclaim under a slot',
  'chunks not pinned by their transaction',
  'carried before it is on disk',
  'carried under its reader',
] as const

export const faultsOf = (mutant: Mutant): DiskFaults => ({
  ignoreDataSync: mutant === 'checkpoint without sync' ? '.ckpt' : mutant === 'no fdatasync',
  ignoreDirectorySync: mutant === 'renamed without directory sync' ? 'after rename' : mutant === 'no directory sync',
})

/** Before the spool is opened. */
export function meddleWithPins(pins: SpoolPins, mutant: Mutant, keepsAll: boolean): void {
  for (const log of pins.logs.values()) {
    const unused = log.unused.bind(log)
    if (keepsAll) log.unused = () => []
    else if (mutant === 'reclaim before the checkpoint') log.unused = () => unused(log.channel.committedTo)
    if (mutant === 'reclaim under a slot') log.add = () => {}
    if (mutant === 'chunks not pinned by their transaction')
      Object.defineProperty(log.channel, 'pinnedFrom', { value: Number.POSITIVE_INFINITY })
  }
  if (mutant === "outcomes' position after the mail's") {
    const [[name, outcomes]] = [...pins.logs] as [[string, LogSegments]]
    pins.logs.delete(name)
    pins.logs.set(name, outcomes)
  }
}

/** Once it is open. */
export function meddleWithRig(rig: SpoolRig, mutant: Mutant): void {
  if (mutant === 'checkpoint before its outcomes') rig.spool.reclaim.outcomesSettled = () => true
  if (mutant === 'carried before it is on disk') rig.spool.reclaim.copiedTo = () => Number.POSITIVE_INFINITY
  if (mutant === 'carried under its reader') rig.queue.mayMove = () => true
}
