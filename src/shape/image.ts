/** The queue as a checkpoint sees it: written in parts while it goes on, and filled again at the start. */
import { emptyRow, queueRowBytes, type QueueFlow, writeQueueRow } from '../model/queue.ts'
import { logOf, logsMax } from '../model/submission.ts'
import type { QueueSink, QueueSource, SlotPlace } from '../ports/queue.ts'
import type { LearnedSite } from './flows.ts'
import { learnedSitesMax } from './limits.ts'
import type { Scheduler } from './scheduler.ts'
import { mayBeDuplicateFlag, type Slots, slotStates } from './slots.ts'

/** Acceptance is put in order by this many steps between the oldest and the youngest. */
const orderBuckets = 65_536

export function queueImage(scheduler: Scheduler, nowMs: () => number): QueueSource & QueueSink {
  const { slots } = scheduler
  return {
    writeRows: (from, into) => writeRows(slots, from, into),
    flows: () => flowsOf(scheduler),
    learned: () => learnedOf(scheduler),
    get slotsUsed() {
      return slots.used
    },
    slotsIn: (log, from, to) => slotsIn(slots, log, from, to),
    relocate({ slot, number, place }, to, span) {
      if (slots.number[slot] !== number || slots.place[slot] !== place || !waits(slots, slot)) return false
      scheduler.relocate(slot, to, span)
      return true
    },
    restore: (row, domain, tenant) => scheduler.restore(row, domain, tenant, nowMs()),
    relocateAll(moved) {
      if (moved.size === 0) return
      for (let slot = 0; slot < slots.used; slot++) {
        if (!lives(slots, slot)) continue
        const to = moved.get(slots.number[slot] as number)
        if (to !== undefined) scheduler.relocate(slot, to.place, to.span)
      }
    },
    restoreLearned(learned) {
      for (const [name, site] of learned as [string, LearnedSite][]) scheduler.learned.set(name, site)
    },
  }
}

function lives({ state }: Slots, slot: number): boolean {
  return state[slot] !== slotStates.free && state[slot] !== slotStates.dead
}

/** Nobody reads its record now. */
function waits({ state }: Slots, slot: number): boolean {
  return state[slot] === slotStates.ready || state[slot] === slotStates.deferred
}

const row = emptyRow()

function writeRows(slots: Slots, from: number, into: Buffer): { next: number; bytes: number } {
  let bytes = 0
  let slot = from
  for (; slot < slots.used; slot++) {
    if (!lives(slots, slot)) continue
    if (bytes + queueRowBytes > into.length) return { next: slot, bytes }
    row.number = slots.number[slot] as number
    row.place = slots.place[slot] as number
    row.span = slots.span[slot] as number
    row.bytes = slots.bytes[slot] as number
    row.recipient = slots.recipient[slot] as number
    row.acceptedAtMs = slots.acceptedAtMs[slot] as number
    row.nextAttemptAtMs = slots.nextAtMs[slot] as number
    row.lifeS = slots.lifeS[slot] as number
    row.attempts = slots.attempts[slot] as number
    row.mayBeDuplicate = ((slots.flags[slot] as number) & mayBeDuplicateFlag) !== 0
    row.flow = slots.flow[slot] as number
    writeQueueRow(into, bytes, row)
    bytes += queueRowBytes
  }
  return { next: -1, bytes }
}

function* flowsOf(scheduler: Scheduler): Generator<QueueFlow> {
  const { flows } = scheduler
  for (let id = 0; id < flows.length; id++) {
    const flow = flows[id]
    if (flow !== undefined && flow.live > 0) yield { id, domain: flow.destination.domain, tenant: flow.tenant }
  }
}

function learnedOf({ sites, learned }: Scheduler): [string, LearnedSite][] {
  const all: [string, LearnedSite][] = []
  for (const { site, learned: now } of sites.values()) if (now !== null) all.push([site.name, now])
  for (const [name, before] of learned) all.push([name, before])
  return all.slice(0, learnedSitesMax.value)
}

function slotsIn(slots: Slots, log: number, from: number, to: number): SlotPlace[] {
  const found: SlotPlace[] = []
  const { place: places, used } = slots
  const [first, end] = [from * logsMax, to * logsMax]
  for (let slot = 0; slot < used; slot++) {
    const place = places[slot] as number
    if (place < first || place >= end || logOf(place) !== log || !waits(slots, slot)) continue
    found.push({ slot, number: slots.number[slot] as number, place })
  }
  return found
}

/** Slots that are ready, oldest first as far as the buckets tell: a sort of ten million would take seconds. */
export function inOrderOfAcceptance(slots: Slots): Uint32Array {
  let oldest = Number.POSITIVE_INFINITY
  let youngest = Number.NEGATIVE_INFINITY
  const ready = new Uint32Array(slots.counts[slotStates.ready] as number)
  let count = 0
  for (let slot = 0; slot < slots.used; slot++) {
    if (slots.state[slot] !== slotStates.ready) continue
    ready[count++] = slot
    oldest = Math.min(oldest, slots.acceptedAtMs[slot] as number)
    youngest = Math.max(youngest, slots.acceptedAtMs[slot] as number)
  }
  if (youngest <= oldest) return ready
  const scale = (orderBuckets - 1) / (youngest - oldest)
  const bucketOf = (slot: number): number => Math.floor(((slots.acceptedAtMs[slot] as number) - oldest) * scale)
  const starts = new Uint32Array(orderBuckets + 1)
  for (const slot of ready) {
    const after = bucketOf(slot) + 1
    starts[after] = (starts[after] as number) + 1
  }
  for (let i = 1; i <= orderBuckets; i++) starts[i] = (starts[i] as number) + (starts[i - 1] as number)
  const ordered = new Uint32Array(ready.length)
  for (const slot of ready) {
    const bucket = bucketOf(slot)
    const at = starts[bucket] as number
    ordered[at] = slot
    starts[bucket] = at + 1
  }
  return ordered
}
