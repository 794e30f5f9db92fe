/** Bounds of the queue, each with its arithmetic. */
import { limit } from '../kernel/limits.ts'

/**
 * Address space for this many recipients is set aside; only what is used is resident: 54 bytes each, 3.4 GiB when all are. New mail is refused from nine
 * tenths on, because what is on its way to the queue still has to find room: 6.7 million recipients are 6,700 submissions of 1,000.
 */
export const slotsMax = limit({ value: 2 ** 26, unit: 'recipients', owner: 'shape', breach: '452 4.3.1' })
export const slotsAcceptedShare = 0.9
