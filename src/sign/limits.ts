/** Bounds of signing. */
import { limit } from '../kernel/limits.ts'

export const parsedKeysMax = limit({
  name: 'sign.keys',
  value: 1_000,
  unit: 'keys of tenants, ready',
  owner: 'sign',
  why: 'In each thread that signs, about 5 kB each. To make one ready again costs a tenth of a signature.',
  breach: 'the one used longest ago is read again',
})
