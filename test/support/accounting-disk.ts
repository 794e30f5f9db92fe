/**
 * A directory in memory for the accounting log: slow or failing when told to, and able to lose its power.
 *
 * What was synced stays. Behind it a power cut leaves what it likes: sectors as they were written, zeros, or what was in them before; and of names only those
 * changes, in their order, that the directory's sync covered or that happened to get there.
 */
import { basename, dirname } from 'node:path'
import type { AccountingFile, AccountingFiles, PlacedFile } from '../../src/events/events.ts'
import { firstNoonMs } from './store-rig.ts'
import type { Random } from '../../src/kernel/random.ts'

interface Inode {
  readonly number: number
  bytes: Buffer
  /** What is on disk for certain. */
  synced: Buffer
  links: number
}

const sectorBytes = 64

export interface Call {
  readonly what:
    | 'read'
    | 'write'
    | 'sync'
    | 'open'
    | 'rename'
    | 'remove'
    | 'place'
    | 'list'
    | 'truncate'
    | 'close'
    | 'mkdir'
  readonly path: string
}

export class AccountingDisk {
  /** Before each call: may wait, or throw what the call fails with. */
  before: (call: Call) => Promise<void> | void = () => undefined
  /** How much of a write is taken. */
  taken: (bytes: number) => number = (bytes) => bytes
  readonly calls: Call[] = []
  #names = new Map<string, Inode>()
  /** Since the last sync of the directory. */
  #changes: ((names: Map<string, Inode>) => void)[] = []
  #namesOnDisk = new Map<string, Inode>()
  #next = 1
  /** Counts lives: what an earlier one goes on to do is not done. */
  #life = 0
  #inFlight: { readonly inode: Inode; readonly bytes: Buffer; readonly position: number } | null = null

  get files(): AccountingFiles {
    const life = this.#life
    const call = async <T>(what: Call['what'], path: string, act: () => T): Promise<T> => {
      this.calls.push({ what, path })
      await this.before({ what, path })
      await Promise.resolve()
      // Whoever calls has died.
      if (life !== this.#life) return new Promise<T>(() => undefined)
      return act()
    }
    return {
      makeDirectory: (path) => call('mkdir', path, () => undefined),
      list: (directory) =>
        call('list', directory, () =>
          [...this.#names.keys()].filter((path) => dirname(path) === directory).map((path) => basename(path)),
        ),
      place: (path) => call('place', path, () => placeOf(this.#names.get(path))),
      open: (path, how) =>
        call('open', path, () => {
          const there = this.#names.get(path)
          if ((there === undefined) !== (how === 'create')) throw errorOf(how === 'create' ? 'EEXIST' : 'ENOENT')
          return this.#opened(there ?? this.#create(path), path, call)
        }),
      rename: (from, to) =>
        call('rename', from, () => {
          const inode = this.#names.get(from)
          if (inode === undefined) throw errorOf('ENOENT')
          this.#move(from, to, inode)
        }),
      remove: (path) => call('remove', path, () => this.#unlink(path)),
      syncDirectory: (path) => call('sync', path, () => this.#syncNames()),
    }
  }

  #opened(
    inode: Inode,
    path: string,
    call: <T>(what: Call['what'], path: string, act: () => T) => Promise<T>,
  ): AccountingFile {
    return {
      read: (into, position) => call('read', path, () => inode.bytes.copy(into, 0, position)),
      write: (bytes, position) => {
        this.#inFlight = { inode, bytes, position }
        return call('write', path, () => {
          this.#inFlight = null
          const taken = this.taken(bytes.length)
          writeAt(inode, bytes.subarray(0, taken), position)
          return taken
        })
      },
      truncate: (bytes) =>
        call('truncate', path, () => void (inode.bytes = Buffer.from(inode.bytes.subarray(0, bytes)))),
      sync: () => call('sync', path, () => void (inode.synced = inode.bytes)),
      place: () => call('place', path, () => placeOf(inode) as PlacedFile),
      close: () => call('close', path, () => undefined),
    }
  }

  // ── What an operator does ─────────────────────────────────────────────────────────────────────────────────────────────────

  rename(from: string, to: string): void {
    const inode = this.#names.get(from)
    if (inode === undefined) throw errorOf('ENOENT')
    this.#move(from, to, inode)
    this.#syncNames()
  }

  remove(path: string): void {
    this.#unlink(path)
    this.#syncNames()
  }

  put(path: string, bytes: Buffer): void {
    this.#unlink(path)
    const inode = this.#create(path)
    inode.bytes = bytes
    inode.synced = bytes
    this.#syncNames()
  }

  get(path: string): Buffer | null {
    return this.#names.get(path)?.bytes ?? null
  }

  get paths(): string[] {
    return [...this.#names.keys()].sort()
  }

  // ── What fate does ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The process ends now; of the write under way a part may be there. */
  kill(random: Random): void {
    this.#life += 1
    const flight = this.#inFlight
    this.#inFlight = null
    if (flight === null) return
    writeAt(
      flight.inode,
      flight.bytes.subarray(0, Math.floor(random.fraction() * (flight.bytes.length + 1))),
      flight.position,
    )
  }

  /** The machine loses its power. What was on disk of the file at `path` may show up wherever nothing was synced. */
  cutPower(random: Random, path: string): void {
    this.kill(random)
    const stale = this.#names.get(path)?.synced ?? Buffer.alloc(0)
    const kept = Math.floor(random.fraction() * (this.#changes.length + 1))
    for (const change of this.#changes.slice(0, kept)) change(this.#namesOnDisk)
    this.#changes = []
    this.#names = new Map(this.#namesOnDisk)
    for (const inode of new Set(this.#names.values())) {
      inode.bytes = afterPowerCut(inode, random, stale)
      inode.synced = inode.bytes
      inode.links = [...this.#names.values()].filter((other) => other === inode).length
    }
  }

  #create(path: string): Inode {
    const inode = { number: this.#next++, bytes: Buffer.alloc(0), synced: Buffer.alloc(0), links: 1 }
    this.#change((names) => names.set(path, inode))
    return inode
  }

  #move(from: string, to: string, inode: Inode): void {
    const before = this.#names.get(to)
    if (before !== undefined) before.links -= 1
    this.#change((names) => names.delete(from) && names.set(to, inode))
  }

  #unlink(path: string): void {
    const inode = this.#names.get(path)
    if (inode === undefined) return
    inode.links -= 1
    this.#change((names) => names.delete(path))
  }

  #change(change: (names: Map<string, Inode>) => void): void {
    change(this.#names)
    this.#changes.push(change)
  }

  #syncNames(): void {
    this.#changes = []
    this.#namesOnDisk = new Map(this.#names)
  }
}

function writeAt(inode: Inode, bytes: Buffer, position: number): void {
  const end = Math.max(inode.bytes.length, position + bytes.length)
  const grown = Buffer.alloc(end)
  inode.bytes.copy(grown)
  bytes.copy(grown, position)
  inode.bytes = grown
}

function afterPowerCut({ bytes, synced }: Inode, random: Random, stale: Buffer): Buffer {
  if (bytes.equals(synced)) return bytes
  let same = 0
  while (same < synced.length && bytes[same] === synced[same]) same++
  const end = same + Math.floor(random.fraction() * (Math.max(bytes.length, synced.length) - same + 1))
  const left = Buffer.alloc(Math.max(synced.length > bytes.length ? 0 : synced.length, end))
  bytes.copy(left)
  for (let at = same; at < left.length; at += sectorBytes) {
    const fate = random.fraction()
    if (fate < 0.6) continue
    if (fate < 0.8 || stale.length === 0) left.fill(0, at, Math.min(left.length, at + sectorBytes))
    else
      stale
        .subarray(0, sectorBytes + Math.floor(random.fraction() * stale.length))
        .subarray(-sectorBytes)
        .copy(left, at)
  }
  return left
}

const placeOf = (inode: Inode | undefined): PlacedFile | null =>
  inode === undefined
    ? null
    : { inode: String(inode.number), bytes: inode.bytes.length, links: inode.links, modifiedMs: firstNoonMs }

export function errorOf(code: string): Error {
  return Object.assign(new Error(`${code}: simulated`), { code })
}
