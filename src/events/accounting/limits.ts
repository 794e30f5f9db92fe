/** Bounds of the accounting log. How much is kept, and for how long, are options: `accounting.…`. */
import { limit } from '../../kernel/limits.ts'
import { KiB, MiB, secondMs } from '../../kernel/units.ts'

const owner = 'events'

export const waitingBytesMax = limit({
  name: 'accounting.waiting',
  value: 8 * MiB,
  unit: 'bytes of lines',
  owner,
  why: 'Lines that are not known to be on disk are kept, because a disk that failed once may have lost what it took: 15,000 lines of 550 B.',
  breach: 'the logs are read on when there is room again',
})

export const lineBytesMax = limit({
  name: 'accounting.line',
  value: 256 * KiB,
  unit: 'bytes',
  owner,
  why: 'Two addresses, a subject of 998 characters, ten tags and a reply of 512 are 12 KB with everything escaped. Read at a start, and by `acct`.',
  breach: 'it is no line: the file is cut before it',
})

export const retryMsMax = limit({
  name: 'accounting.retry',
  value: 30 * secondMs,
  unit: 'ms',
  owner,
  why: 'After a failure it is tried again after half a second, then after twice as long each time.',
  breach: 'it stays at that',
})

export const stallMsMax = limit({
  name: 'accounting.stall',
  value: 10 * secondMs,
  unit: 'ms',
  owner,
  why: 'No disk that works takes as long for a write; mail does not wait for it, but somebody should know.',
  breach: 'an alarm; the write goes on',
})

export const filesSearchedMax = limit({
  name: 'accounting.files-searched',
  value: 2,
  unit: 'rotated files',
  owner,
  why: 'When the state is lost, the newest lines of each log are looked for: 100 MiB take a second, at the start only, and nobody waits for it.',
  breach: 'a log that has no line in them is accounted for again from where it begins',
})

export const refusalsPerSecondMax = limit({
  name: 'refusals.rate',
  value: 100,
  unit: 'lines per second',
  owner,
  why: 'Enough to see who is at the door; an attack would fill the disk. × 300 B × 86,400 s = 2.6 GB a day.',
  breach: 'they are counted, and a line says how many',
})

export const refusalBytesMax = limit({
  name: 'refusals.waiting',
  value: 256 * KiB,
  unit: 'bytes of lines',
  owner,
  why: 'Eight seconds at the full rate, for a disk that is slow.',
  breach: 'they are counted, and a line says how many',
})

export const refusalCharactersMax = limit({
  name: 'refusals.text',
  value: 1_000,
  unit: 'characters per field',
  owner,
  why: 'A reply with its reason is 512 characters.',
  breach: 'the rest is cut off',
})
