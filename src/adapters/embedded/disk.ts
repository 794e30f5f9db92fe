/** Port `disk` on the real file system. Files are mode 0600, directories 0700. */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  read,
  readdirSync,
  readSync,
  renameSync,
  statfsSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Disk, DiskFile } from '../../ports/disk.ts'
import { readsMax } from './limits.ts'
import { ReadGate } from './read-gate.ts'

export function openDisk(root: string): Disk {
  const gate = new ReadGate(readsMax.value)
  return {
    open(path, mode) {
      const flags = mode === 'read' ? constants.O_RDONLY : constants.O_RDWR
      return new RealFile(openSync(join(root, path), flags), gate)
    },
    create: (path) =>
      new RealFile(openSync(join(root, path), constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600), gate),
    list(directory) {
      try {
        return readdirSync(join(root, directory)).sort()
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
        throw error
      }
    },
    makeDirectory: (path) => void mkdirSync(join(root, path), { recursive: true, mode: 0o700 }),
    syncDirectory(path) {
      const fd = openSync(join(root, path), constants.O_RDONLY)
      try {
        fsyncSync(fd)
      } finally {
        closeSync(fd)
      }
    },
    rename: (from, to) => renameSync(join(root, from), join(root, to)),
    remove: (path) => unlinkSync(join(root, path)),
    freeBytes() {
      const stats = statfsSync(root)
      return stats.bavail * stats.bsize
    },
  }
}

class RealFile implements DiskFile {
  readonly #fd: number
  readonly #gate: ReadGate

  constructor(fd: number, gate: ReadGate) {
    this.#fd = fd
    this.#gate = gate
  }

  size(): number {
    return fstatSync(this.#fd).size
  }

  readAt(buffer: Uint8Array, offset: number, length: number, position: number): number {
    let done = 0
    while (done < length) {
      const bytes = readSync(this.#fd, buffer, offset + done, length - done, position + done)
      if (bytes === 0) break
      done += bytes
    }
    return done
  }

  async readAtLater(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    await this.#gate.enter()
    try {
      return await new Promise<number>((resolve, reject) => {
        read(this.#fd, buffer, offset, length, position, (error, bytes) =>
          error === null ? resolve(bytes) : reject(error),
        )
      })
    } finally {
      this.#gate.leave()
    }
  }

  writeAt(buffer: Uint8Array, offset: number, length: number, position: number): void {
    let done = 0
    while (done < length) done += writeSync(this.#fd, buffer, offset + done, length - done, position + done)
  }

  dataSync(): void {
    fdatasyncSync(this.#fd)
  }

  close(): void {
    closeSync(this.#fd)
  }
}
