/** Message stores of other spools, out of the way: `store.other-N` beside `store`, the highest number last. */
import { readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { storesSetAsideMax } from './limits.ts'

export interface SetAside {
  readonly to: string
  /** Older ones, of which there were too many. */
  readonly removed: readonly string[]
}

/** Nothing may be open in the directory. Only what bears a name that we give is ever removed. */
export function setAside(directory: string): SetAside {
  const parent = dirname(directory)
  const prefix = `${basename(directory)}.other-`
  const numbers = readdirSync(parent)
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length))
    .filter((digits) => /^[1-9]\d{0,14}$/.test(digits))
    .map(Number)
    .sort((a, b) => a - b)
  const pathOf = (number: number): string => join(parent, prefix + number)
  const to = pathOf((numbers.at(-1) ?? 0) + 1)
  renameSync(directory, to)
  const surplus = numbers.slice(0, Math.max(0, numbers.length + 1 - storesSetAsideMax.value)).map(pathOf)
  return { to, removed: surplus.filter(remove) }
}

/** False: it is in the way of nobody, and tried again the next time. */
function remove(path: string): boolean {
  try {
    rmSync(path, { recursive: true, force: true })
    return true
  } catch {
    return false
  }
}
