/**
 * A disk in memory that is as unkind as a real one. It keeps two images: what a program sees, and what is durable. At a power cut, each
 * unsynced 512-byte sector and each unsynced directory entry survives or not, as the seed says; sizes of files never synced too.
 *
 *   writeAt       → cached sectors, marked unsynced
 *   dataSync      → this file's sectors and size are durable (its name is not: that takes syncDirectory)
 *   crash         → a disk with the durable image and a random part of the rest
 */
import type { Random } from '../../src/kernel/random.ts'
import type { Disk, DiskFile } from '../../src/ports/disk.ts'

const sectorBytes = 512

interface Inode {
  cached: Buffer
  durable: Buffer
  /** Sectors written since the last sync. */
  readonly unsynced: Set<number>
}

interface Entry {
  readonly inode: Inode
}

/** What may be switched on to see whether the tests notice. */
export interface DiskFaults {
  /** dataSync does nothing: for all files, or for those whose path ends like this. */
  readonly ignoreDataSync?: boolean | string
  /** syncDirectory does nothing: ever, or the first time after a rename in that directory. */
  readonly ignoreDirectorySync?: boolean | 'after rename'
  /** Called before every write and sync; may throw, as a failing disk does. */
  readonly before?: (call: 'write' | 'sync' | 'syncDirectory' | 'create' | 'rename' | 'remove', path: string) => void
}

export class SimulatedDisk implements Disk {
  readonly #cached = new Map<string, Entry>()
  readonly #durable = new Map<string, Entry>()
  readonly #directories = new Set<string>([''])
  readonly #durableDirectories = new Set<string>([''])
  /** Directories in which something was renamed since they were last asked to be synced. */
  readonly #renamedIn = new Set<string>()
  #faults: DiskFaults
  free = 2 ** 40
  /** Counts, for costs and for picking the moment of a crash. */
  writes = 0
  syncs = 0

  constructor(faults: DiskFaults = {}) {
    this.#faults = faults
  }

  open(path: string): DiskFile {
    const entry = this.#cached.get(path)
    if (entry === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' })
    return this.#file(path, entry.inode)
  }

  create(path: string): DiskFile {
    this.#faults.before?.('create', path)
    if (!this.#directories.has(parent(path))) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' })
    if (this.#cached.has(path)) throw Object.assign(new Error(`EEXIST: ${path}`), { code: 'EEXIST' })
    const inode: Inode = { cached: Buffer.alloc(0), durable: Buffer.alloc(0), unsynced: new Set() }
    this.#cached.set(path, { inode })
    return this.#file(path, inode)
  }

  list(directory: string): string[] {
    const prefix = directory === '' ? '' : `${directory}/`
    const names = [...this.#cached.keys(), ...this.#directories].filter(
      (path) => path !== '' && path.startsWith(prefix) && !path.slice(prefix.length).includes('/'),
    )
    return names.map((path) => path.slice(prefix.length)).sort()
  }

  makeDirectory(path: string): void {
    const parts = path.split('/')
    for (let i = 1; i <= parts.length; i++) this.#directories.add(parts.slice(0, i).join('/'))
  }

  syncDirectory(path: string): void {
    this.#faults.before?.('syncDirectory', path)
    const { ignoreDirectorySync: ignored = false } = this.#faults
    if (ignored === true || (this.#renamedIn.delete(path) && ignored === 'after rename')) return
    for (const directory of this.#directories) if (parent(directory) === path) this.#durableDirectories.add(directory)
    for (const [name, entry] of this.#cached) if (parent(name) === path) this.#durable.set(name, entry)
    for (const name of this.#durable.keys())
      if (parent(name) === path && !this.#cached.has(name)) this.#durable.delete(name)
  }

  rename(from: string, to: string): void {
    this.#faults.before?.('rename', from)
    const entry = this.#cached.get(from)
    if (entry === undefined) throw Object.assign(new Error(`ENOENT: ${from}`), { code: 'ENOENT' })
    this.#cached.delete(from)
    this.#cached.set(to, entry)
    this.#renamedIn.add(parent(to))
  }

  remove(path: string): void {
    this.#faults.before?.('remove', path)
    this.#cached.delete(path)
  }

  freeBytes(): number {
    return this.free
  }

  /** Flips one bit of what is stored, as decaying media do. */
  flipBit(path: string, position: number, bit: number): void {
    const inode = (this.#cached.get(path) as Entry).inode
    for (const image of [inode.cached, inode.durable]) {
      if (position < image.length) image[position] = (image[position] as number) ^ (1 << bit)
    }
  }

  /** Pulls the plug: the disk as the next start finds it. This one must not be used any more. */
  crash(random: Random): SimulatedDisk {
    const after = new SimulatedDisk({})
    for (const directory of this.#directories) {
      const kept = this.#durableDirectories.has(directory) || random.fraction() < 0.5
      if (kept && after.#directories.has(parent(directory))) {
        after.#directories.add(directory)
        after.#durableDirectories.add(directory)
      }
    }
    const survivors = new Map<string, Inode>()
    for (const path of new Set([...this.#durable.keys(), ...this.#cached.keys()])) {
      const durable = this.#durable.get(path)
      const cached = this.#cached.get(path)
      const entry = durable === cached || random.fraction() < 0.5 ? durable : cached
      if (entry !== undefined && after.#directories.has(parent(path))) survivors.set(path, tear(entry.inode, random))
    }
    for (const [path, inode] of survivors) {
      after.#cached.set(path, { inode })
      after.#durable.set(path, after.#cached.get(path) as Entry)
    }
    return after
  }

  /** The same disk for the next process, after a kill: everything written is still there, and what was not synced still is not. */
  withFaults(faults: DiskFaults): SimulatedDisk {
    this.#faults = faults
    return this
  }

  #file(path: string, inode: Inode): DiskFile {
    return {
      size: () => inode.cached.length,
      readAt: (buffer, offset, length, position) => readFrom(inode, buffer, offset, length, position),
      readAtLater: async (buffer, offset, length, position) => readFrom(inode, buffer, offset, length, position),
      writeAt: (buffer, offset, length, position) => {
        this.#faults.before?.('write', path)
        this.writes += 1
        const end = position + length
        if (end > inode.cached.length)
          inode.cached = Buffer.concat([inode.cached, Buffer.alloc(end - inode.cached.length)])
        inode.cached.set(buffer.subarray(offset, offset + length), position)
        for (let sector = Math.floor(position / sectorBytes); sector * sectorBytes < end; sector++)
          inode.unsynced.add(sector)
      },
      dataSync: () => {
        this.#faults.before?.('sync', path)
        this.syncs += 1
        const { ignoreDataSync: ignored = false } = this.#faults
        if (typeof ignored === 'string' ? !path.endsWith(ignored) : !ignored) syncInode(inode)
      },
      close() {},
    }
  }
}

function readFrom(inode: Inode, buffer: Uint8Array, offset: number, length: number, position: number): number {
  const bytes = Math.max(0, Math.min(length, inode.cached.length - position))
  buffer.set(inode.cached.subarray(position, position + bytes), offset)
  return bytes
}

function syncInode(inode: Inode): void {
  if (inode.durable.length !== inode.cached.length) {
    const grown = Buffer.alloc(inode.cached.length)
    inode.durable.copy(grown)
    inode.durable = grown
  }
  for (const sector of inode.unsynced) {
    inode.cached.copy(inode.durable, sector * sectorBytes, sector * sectorBytes, (sector + 1) * sectorBytes)
  }
  inode.unsynced.clear()
}

/** What is left of a file: its synced sectors, and of the others whichever the drive happened to have written. */
function tear(inode: Inode, random: Random): Inode {
  const grown = inode.cached.length > inode.durable.length && random.fraction() < 0.5
  const image = Buffer.alloc(grown ? inode.cached.length : inode.durable.length)
  inode.durable.copy(image)
  for (const sector of inode.unsynced) {
    if (random.fraction() < 0.5)
      inode.cached.copy(
        image,
        sector * sectorBytes,
        sector * sectorBytes,
        Math.min(image.length, (sector + 1) * sectorBytes),
      )
  }
  return { cached: image, durable: Buffer.from(image), unsynced: new Set() }
}

function parent(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash === -1 ? '' : path.slice(0, slash)
}
