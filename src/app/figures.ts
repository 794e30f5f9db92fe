/** What the scheduler's thread tells about its queue when it is asked. */
import { type Scheduler, type SiteQueue, slotStates } from '../shape/shape.ts'
import type { Channel } from '../spool/spool.ts'
import type { EngineTotals, QueueFigures } from './exchange.ts'

const sitesShown = 20

export const noTotals = (): EngineTotals => ({
  accepted: 0,
  recipients: 0,
  delivered: 0,
  deferred: 0,
  bounced: 0,
  expired: 0,
  suppressed: 0,
  uncertain: 0,
})

export function queueFigures(
  { slots, sites }: Scheduler,
  channels: readonly Channel[],
  totals: EngineTotals,
): QueueFigures {
  let oldestAtMs = Number.POSITIVE_INFINITY
  for (let slot = 0; slot < slots.used; slot++) {
    const state = slots.state[slot] as number
    if (state === slotStates.free || state === slotStates.dead) continue
    oldestAtMs = Math.min(oldestAtMs, slots.acceptedAtMs[slot] as number)
  }
  return {
    totals,
    queue: {
      ready: slots.counts[slotStates.ready] as number,
      deferred: slots.counts[slotStates.deferred] as number,
      inFlight: slots.counts[slotStates.inFlight] as number,
      oldestAtMs,
    },
    sites: [...sites.values()]
      .sort((a, b) => b.queued + b.inFlight - a.queued - a.inFlight)
      .slice(0, sitesShown)
      .map(describeSite),
    logs: channels.map((channel) => ({
      name: channel.name,
      committedPosition: channel.committedTo,
      freeBytes: channel.freeBytes,
      state: channel.state,
    })),
  }
}

const describeSite = (queue: SiteQueue) => ({
  name: queue.site.name,
  queued: queue.queued,
  inFlight: queue.inFlight,
  connections: queue.connections,
  paused: !queue.open,
  lastReply: queue.lastReply === '' ? null : queue.lastReply,
})
