/** A file that is damaged is moved out of the way, for whoever wants to find out what happened. */
import { readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { damagedKeptMax } from './limits.ts'

const beside = ['-wal', '-journal', '-shm'] as const

/** Returns its new path. Only so many are kept. */
export function setAside(path: string): string {
  let count = 1
  while (exists(`${path}.damaged-${count}`)) count += 1
  const kept = `${path}.damaged-${count}`
  // What was written ahead goes first: without its file it says nothing, and a new file must not find it.
  for (const ending of beside) if (exists(path + ending)) renameSync(path + ending, kept + ending)
  if (exists(path)) renameSync(path, kept)
  return kept
}

export function forgetOldDamage(directory: string): void {
  const kept = readdirSync(directory)
    .filter((name) => /\.damaged-\d+$/.test(name))
    .map((name) => ({ name, changedMs: statSync(join(directory, name)).ctimeMs }))
    .sort((a, b) => b.changedMs - a.changedMs || (a.name < b.name ? 1 : -1))
  for (const { name } of kept.slice(damagedKeptMax.value)) removeFile(join(directory, name))
}

/** With what SQLite keeps beside it. */
export function removeFile(path: string): void {
  // The file first: what was written ahead of it must never meet an older state of it.
  for (const ending of ['', ...beside]) rmSync(path + ending, { force: true })
}

const exists = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined
