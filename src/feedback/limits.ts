/** Bounds of notices. */
import { limit } from '../kernel/limits.ts'
import { KiB } from '../kernel/units.ts'

const owner = 'feedback'

export const recipientsToldMax = limit({
  name: 'notice.recipients-told',
  value: 20,
  unit: 'recipients in the text for people',
  owner,
  why: 'A page or two. The report for programs has all of them: 1,000 × 2 KB at most.',
  breach: 'and so many more',
})

export const headerBytesMax = limit({
  name: 'notice.header',
  value: 32 * KiB,
  unit: 'bytes of the header that goes back',
  owner,
  why: 'Most headers are 2 to 10 KB. More serves nobody, and a notice must not be a way to send somebody a lot.',
  breach: 'cut at the end of a line',
})

export const pathsCountedMax = limit({
  name: 'notice.paths-counted',
  value: 10_000,
  unit: 'return paths',
  owner,
  why: '10,000 × 0.4 KB = 4 MB. Those with fewer than that between them are bounded for certain.',
  breach: 'the one that was due a notice longest ago counts anew',
})
