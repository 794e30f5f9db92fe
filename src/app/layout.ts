/** How many threads there are of each kind. */
import type { Config } from '../config/config.ts'
import { deliverThreadsMax, intakeThreadsMax } from './limits.ts'

export interface Layout {
  /** 0: the scheduler's thread does it. */
  readonly intake: number
  readonly deliver: number
}

/**
 * @param cores that this process may use at once
 * @param sharesPorts several threads may listen on one port; macOS and Windows do not know it
 */
export function layoutOf({ intake, deliver }: Config['threads'], cores: number, sharesPorts: boolean): Layout {
  const small = cores <= 2
  const intakeCount =
    intake === 'auto'
      ? small
        ? 0
        : Math.min(sharesPorts ? intakeThreadsMax.value : 1, Math.max(1, Math.floor(cores / 4)))
      : intake
  // The scheduler and the log have a core each; main sleeps.
  const left = Math.max(1, cores - 2 - intakeCount)
  return {
    intake: intakeCount,
    deliver: deliver === 'auto' ? (small ? 0 : Math.min(deliverThreadsMax.value, left)) : deliver,
  }
}
