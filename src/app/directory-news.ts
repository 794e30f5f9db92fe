/** Changes of the directory as a thread takes them: each once, and none left out. */
import { invariant } from '../kernel/assert.ts'
import type { DirectoryChange } from '../ports/directory.ts'

/** With the part that the thread works by. */
export type DirectoryNews = Pick<DirectoryChange, 'version'> & Partial<DirectoryChange>

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
