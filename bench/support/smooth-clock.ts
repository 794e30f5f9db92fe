import { type Clock, systemClock } from '../../src/kernel/clock.ts'

/** Wall time with fractions, by the steady clock, which source and receiver of one process share. */
export const smoothClock: Clock = { ...systemClock, nowMs: () => performance.timeOrigin + performance.now() }
