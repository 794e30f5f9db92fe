/** Changes of the directory as a thread takes them: each once, and none left out. */
import { invariant } from '../kernel/assert.ts'
import type { DirectoryChange, IntakeTenant } from '../ports/directory.ts'

/** With the part that the thread works by. */
export type DirectoryNews = Pick<DirectoryChange, 'version'> &
  Partial<DirectoryChange> & {
    /** For whoever has the queue. */
    readonly measured?: Measured
  }

/** A tenant whose waiting mail is measured into a row of the quotas; null: none. */
export interface Measured {
  readonly tenant: string
  readonly row: number | null
}

export function measuredOf({ id, quota }: IntakeTenant): Measured {
  return { tenant: id, row: quota?.row ?? null }
}

export class NewsCount {
  #version: number

  /** Of the snapshot that the thread began with. */
  constructor(version: number) {
    this.#version = version
  }

  /** False: it was in the snapshot. */
  isNews({ version }: DirectoryNews): boolean {
    if (version <= this.#version) return false
    // By what it had missed, a key that is revoked would be good here for ever. Whoever takes this thread's place begins with all there is.
    invariant(version === this.#version + 1, 'a thread hears of every change of the directory')
    this.#version = version
    return true
  }
}
