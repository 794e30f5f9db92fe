/** What has to wait for a disk, so that the thread that answers questions does not. */
import { checkpointBeside, syncAhead } from './sqlite.ts'

export type DiskWork = 'sync' | 'checkpoint'

/** Failures are PosthasteErrors: `store_failed`, `store_full`, `store_damaged` and the like. */
export interface StoreDisk {
  /** Settles when what was committed to this file before is on disk. */
  sync(path: string): Promise<void>
  /** Settles when it is also in the file itself, but for what was committed meanwhile. The file must not be locked. */
  checkpoint(path: string): Promise<void>
  /** Returns when nothing is under way any more: then files may be closed, renamed and removed. */
  finish(): void
  /** Of the first work that failed; then nothing else is done. */
  readonly failure: Error | null
}

/** In the thread that does nothing else. */
export const diskWorks: Readonly<Record<DiskWork, (path: string) => void>> = {
  sync: syncAhead,
  checkpoint: checkpointBeside,
}

/** At once: for whoever may wait. */
export const ownDisk: StoreDisk = {
  async sync(path) {
    syncAhead(path)
  },
  async checkpoint(path) {
    checkpointBeside(path)
  },
  finish() {},
  failure: null,
}
