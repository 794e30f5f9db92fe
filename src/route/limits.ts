/** Bounds of routing. */
import { limit } from '../kernel/limits.ts'
import { secondMs } from '../kernel/units.ts'

const owner = 'route'

/** A site with three exchangers is about 600 bytes: 120 MB when full. A list of ten million people has some 100,000 sites. */
export const sitesMax = limit({
  value: 200_000,
  unit: 'sites',
  owner,
  breach: 'mail for new ones is deferred with 4.3.0',
})

/** A name, a site and a time are about 200 bytes: 40 MB when full. */
export const domainsMax = limit({
  value: 200_000,
  unit: 'recipient domains',
  owner,
  breach: 'the longest known is asked for again',
})

/** A burst to a dead domain gets its answer at once, and a cured one is noticed within seconds. */
export const failureMsMax = 5 * secondMs
