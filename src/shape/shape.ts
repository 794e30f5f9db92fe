/**
 * Stage 5, shape: decides who may send what, where and when.
 *
 *   in   admitted recipients, routes for their domains, reports of attempts, the time
 *   out  grants for deliverers, outcomes to be logged with the time of the next attempt, questions for routing
 *
 * Always true:
 *   1. Same events at the same times give the same actions: no I/O, no clock, randomness from a seed.
 *   2. A recipient is in exactly one place: its flow's queue, the timer wheel, in flight, or settled.
 *   3. A flow stands in a ring only while all its gates are open; nothing is looked at and put back.
 *   4. Every grant is answered by one report, or lost with whoever had it; none opens a connection beyond the `window` of its site.
 *
 *   scheduler ── destinations ── sites, flows ── grants, pairs ── settlement, left-over ── verdict, retry     recipients, slots
 *   events       domain → site   who is next     what may go      what became               again, and when   where each one is
 */
export type { Admission, RouteAnswer, ShapeAction, ShapeEvent } from './events.ts'
export { Scheduler, type SchedulerOptions } from './scheduler.ts'
export * as shapeLimits from './limits.ts'
export { slotBytes } from './slot-bytes.ts'
export { slotStates } from './slots.ts'
export { queueImage } from './image.ts'
export type { SiteQueue } from './flows.ts'
export type { SettledRecipient } from './verdict.ts'
