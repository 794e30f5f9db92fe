/** Bounds of routing. */
import { limit } from '../kernel/limits.ts'
import { hourMs, secondMs } from '../kernel/units.ts'

const owner = 'route'

export const sitesMax = limit({
  name: 'route.sites',
  value: 200_000,
  unit: 'sites',
  owner,
  why: 'A site with three exchangers is about 600 bytes: 120 MB when full. A list of ten million people has some 100,000 sites.',
  breach: 'mail for new ones is deferred with 4.3.0',
})

export const domainsMax = limit({
  name: 'route.domains',
  value: 200_000,
  unit: 'recipient domains',
  owner,
  why: 'A name, a site and a time are about 200 bytes: 40 MB when full.',
  breach: 'the longest known is asked for again',
})

export const failureMsMax = limit({
  name: 'route.failure',
  value: 5 * secondMs,
  unit: 'ms',
  owner,
  why: 'A burst to a dead domain gets its answer at once, and a cured one is noticed within seconds.',
  breach: 'DNS is asked again',
})

export const implicitMsMax = limit({
  name: 'route.implicit',
  value: hourMs,
  unit: 'ms',
  owner,
  why: 'An address may stay true for a day; that there is no MX record beside it is asked again after an hour (RFC 2308 §5).',
  breach: 'DNS is asked again',
})
