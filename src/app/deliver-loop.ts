/** A deliver thread: grants come out of one ring, reports go into another, and every grant is reported once. */
import { openDisk } from '../adapters/embedded/embedded.ts'
import { createDeliverCounters } from '../deliver/deliver.ts'
import { invariant } from '../kernel/assert.ts'
import { systemClock } from '../kernel/clock.ts'
import { systemRandom } from '../kernel/random.ts'
import { RingReader, RingSender } from '../kernel/shared-ring.ts'
import { SharedSet } from '../kernel/shared-set.ts'
import type { DeliveryReport, Grant } from '../model/grant.ts'
import type { Site } from '../model/site.ts'
import { SharedSuppressions } from '../ports/suppressions.ts'
import { Channel, RecordReader } from '../spool/spool.ts'
import { startDelivery, startDns, type WrapMessages } from './delivery.ts'
import type { DeliverThreadData } from './exchange.ts'
import type { ServingThread } from './serve-main.ts'
import { readGrant, readSite, readStop, wireKinds, WireWriter } from './grant-wire.ts'

export function runDeliverThread(
  data: DeliverThreadData,
  wrap?: WrapMessages,
): Pick<ServingThread, 'figures' | 'hear'> {
  const { config, memory, rings, hand, directory } = data
  const clock = systemClock
  const random = systemRandom
  const counters = createDeliverCounters()
  const wire = new WireWriter()
  const reports = new RingSender(rings.reports, clock)
  const sites = new Map<number, Site>()
  /** Grants under way, each with the one that may follow on its connection. */
  const open = new Map<number, Grant | null>()
  const channels = memory.channels.map((channel) => new Channel(channel))
  const suppressions = new SharedSuppressions(new SharedSet(data.suppressed))
  const { deliverer, hearNews } = startDelivery({
    config,
    directory,
    suppressions,
    records: new RecordReader(openDisk(config.dataDirectory), channels, config.spool.segmentBytes),
    dns: startDns(config, clock, random),
    hand,
    clock,
    random,
    counters,
    report: ({ grant, outcomes, attempt }: DeliveryReport) => {
      const next = open.get(grant.id) ?? null
      open.delete(grant.id)
      reports.send(wire.bytes, wire.report(grant.id, outcomes, attempt))
      // Its connection did not ask for it.
      if (next !== null) begin(next)
    },
    ahead: (grant) => {
      const next = open.get(grant.id) ?? null
      if (next === null) return null
      open.set(grant.id, null)
      open.set(next.id, null)
      return next
    },
    ...(wrap !== undefined && { wrap }),
  })

  function begin(grant: Grant): void {
    open.set(grant.id, null)
    deliverer.deliver(grant)
  }

  function take(bytes: Buffer, at: number): void {
    const { grant, behind } = readGrant(bytes, at, (id) => sites.get(id) as Site)
    if (open.get(behind) === null) open.set(behind, grant)
    else begin(grant)
  }

  new RingReader(rings.grants).watch((bytes, at, length) => {
    if (bytes[at] === wireKinds.grant) return take(bytes, at)
    if (bytes[at] === wireKinds.site) {
      const site = readSite(bytes, at, length)
      return void sites.set(site.id, site)
    }
    invariant(bytes[at] === wireKinds.stop, 'the scheduler sends grants, their sites, and the word to stop')
    void deliverer.stop(readStop(bytes, at)).then(() => reports.send(wire.bytes, wire.over()))
  })
  return {
    figures: () => ({ deliver: { ...deliverer.connections(), counters: { ...counters } } }),
    hear(message) {
      if (message.kind === 'suppressed') suppressions.replace(new SharedSet(message.memory))
      else if (message.kind === 'directory') hearNews(message)
      else return null
      return { kind: 'took', ask: message.ask }
    },
  }
}
