/** Bounds of the queue and of what is sent at once, each with its arithmetic. */
import { limit } from '../kernel/limits.ts'
import { formatBytes, minuteMs, secondMs } from '../kernel/units.ts'
import { slotBytes } from './slot-bytes.ts'

const owner = 'shape'
const slots = 2 ** 26

export const slotsMax = limit({
  name: 'shape.slots',
  value: slots,
  unit: 'recipients',
  owner,
  why: `Address space for 67 million × ${slotBytes} B = ${formatBytes(slots * slotBytes)} is set aside; only what is used is resident. New mail is refused before that (shape.slots-accepted).`,
  breach: 'a broken invariant: exit code 70',
})

export const slotsAcceptedShare = limit({
  name: 'shape.slots-accepted',
  value: 0.9,
  unit: 'of shape.slots',
  owner,
  why: 'What is on its way still has to find room: 6.7 million recipients, five times what 80 MiB of envelopes can name (smtp.shared-memory).',
  breach: '452 4.3.1',
})

export const ringMax = limit({
  name: 'shape.ring',
  value: 10_000_000,
  unit: 'domains in a ring',
  owner,
  why: 'One tenant’s at one site, 8 B each: 80 MB if all of ten million domains are at one provider.',
  breach: 'a domain waits outside, and looks for a place every minute',
})

export const hungrySitesMax = limit({
  name: 'shape.hungry-sites',
  value: 200_000,
  unit: 'sites',
  owner,
  why: 'Sites that wait for a connection of the machine: all of them (route.sites), 8 B each.',
  breach: 'looked at with the next tick',
})

export const sitePauseMsMin = limit({
  name: 'shape.site-pause-min',
  value: 30 * secondMs,
  unit: 'ms',
  owner,
  why: 'A server that starts again is back within half a minute. Spread by a quarter to either side, so that sites do not come back together.',
  breach: 'paused for as long',
})

export const sitePauseMsMax = limit({
  name: 'shape.site-pause',
  value: 15 * minuteMs,
  unit: 'ms',
  owner,
  why: 'The fifth doubling of half a minute. A site that is well again has its mail within a quarter of an hour, and a dead one costs four connections an hour.',
  breach: 'paused no longer',
})

export const aheadServiceMsMax = limit({
  name: 'shape.ahead-service',
  value: 250,
  unit: 'ms per transaction',
  owner,
  why: 'Behind another message on its connection one waits for a whole transaction of the site; behind a slow one it would, while another connection is free for it.',
  breach: 'waits for a connection',
})

export const recipientsLearnedMs = limit({
  name: 'shape.recipients-learned',
  value: 10 * minuteMs,
  unit: 'ms',
  owner,
  why: 'To ask for more than a receiver takes costs a reply for each recipient, and no wait; some say it only of recipients that differ from those before.',
  breach: 'the receiver is given delivery.recipients_per_transaction again',
})

export const attemptsMax = limit({
  name: 'shape.attempts',
  value: 65_535,
  unit: 'attempts',
  owner,
  why: 'Stored in 16 bits; at one a second that is 18 hours’ worth.',
  breach: 'the number stands still',
})

export const learnedSitesMax = limit({
  name: 'shape.learned-sites',
  value: 10_000,
  unit: 'sites',
  owner,
  why: 'What a checkpoint keeps of sites that are not as any is assumed to be: a name and four numbers, about 200 B each, 2 MB.',
  breach: 'learned anew after a start',
})
