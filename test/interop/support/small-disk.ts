/** A disk of a few megabytes, as the kernel has it. Needs root. */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { KiB, MiB } from '../../../src/kernel/units.ts'

export interface SmallDisk {
  readonly directory: string
  /** To the last block, as somebody else's file. Again: what has been freed since. */
  fill(): void
  /** That file is gone. */
  free(): void
}

export function smallDisk(t: TestContext, bytes: number): SmallDisk {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0755`, 'posthaste-test', directory])
  t.after(() => {
    // Whoever still has a file open there keeps the disk, and nobody its name.
    execFileSync('umount', ['--lazy', directory])
    rmdirSync(directory)
  })
  const filler = join(directory, 'of-somebody-else')
  return {
    directory,
    fill: () => append(filler),
    free: () => rmSync(filler, { force: true }),
  }
}

function append(path: string): void {
  const file = openSync(path, 'a')
  try {
    for (const piece of [Buffer.alloc(MiB), Buffer.alloc(4 * KiB), Buffer.alloc(1)]) while (fits(file, piece));
  } finally {
    closeSync(file)
  }
}

function fits(file: number, piece: Buffer): boolean {
  try {
    writeSync(file, piece)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    return false
  }
}
