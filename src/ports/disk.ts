/**
 * Port `disk`: everything the spool asks of a file system. Calls block, because only the log thread writes and because
 * the simulated disk must see every call in order. A path is relative to the directory that the disk was opened on.
 *
 * Contract: what `writeAt` wrote survives a power cut only after `dataSync` on the same file returned; a name survives
 * only after `syncDirectory` returned. After an error from `writeAt` or `dataSync` the file must not be written again.
 */
export interface Disk {
  /** Opens an existing file for reading and writing. Throws what the system throws (ENOENT, EACCES, …). */
  open(path: string, mode: 'read' | 'write'): DiskFile
  /** Creates a file with mode 0600; fails with EEXIST when the name is taken. */
  create(path: string): DiskFile
  /** Names in a directory, sorted; empty when it does not exist. */
  list(directory: string): string[]
  makeDirectory(path: string): void
  syncDirectory(path: string): void
  rename(from: string, to: string): void
  remove(path: string): void
  /** Bytes that an unprivileged writer may still use. */
  freeBytes(): number
}

export interface DiskFile {
  size(): number
  /** Reads up to `length` bytes into `buffer` at `offset`; returns how many there were. */
  readAt(buffer: Uint8Array, offset: number, length: number, position: number): number
  /** The same without blocking the caller's thread. The real disk bounds how many run at once. */
  readAtLater(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number>
  /** Writes all of it or throws. */
  writeAt(buffer: Uint8Array, offset: number, length: number, position: number): void
  /** fdatasync. A failure means that what was written since the last success may be gone: never call it again. */
  dataSync(): void
  close(): void
}
