/** Bounds of signing. */
import { limit } from '../kernel/limits.ts'

export const parsedKeysMax = limit({
  name: 'sign.keys',
  value: 1_000,
  unit: 'DKIM keys of the directory made ready to sign, in each thread',
  owner: 'sign',
  why: 'About 5 kB each. To make one ready again costs a tenth of a signature.',
  breach: 'the one used longest ago is made ready again when it is needed',
})
