/** Threads of one kind, each of which is started again when it dies: at once the first time, then after 100 ms, doubled up to 10 s; a quiet minute forgets. */
import { type Clock, systemClock } from '../kernel/clock.ts'
import { minuteMs } from '../kernel/units.ts'
import type { Counters, ThreadFigures } from './exchange.ts'
import { restartPauseMsMax } from './limits.ts'
import type { Thread } from './thread.ts'

const backOffMsMin = 100
const quietMs = minuteMs

class Member {
  thread: Thread | null = null
  restarts = 0
  failures = 0
  startedMs = 0
  /** What it last told. */
  figures: ThreadFigures = {}
}

export class Crew {
  readonly #hire: (index: number) => Thread
  readonly #clock: Clock
  readonly #members: Member[]
  /** Of those that died, so that a counter never runs backwards. */
  #gone: ThreadFigures[] = []
  #stopped = false

  constructor(count: number, hire: (index: number) => Thread, clock: Clock = systemClock) {
    this.#hire = hire
    this.#clock = clock
    this.#members = Array.from({ length: count }, () => new Member())
  }

  start(): void {
    for (const index of this.#members.keys()) this.#start(index)
  }

  get threads(): readonly Thread[] {
    return this.#members.flatMap(({ thread }) => thread ?? [])
  }

  get status(): readonly { readonly thread: Thread | null; readonly restarts: number }[] {
    return this.#members
  }

  /** For `onEnd` of the thread. */
  died(index: number): void {
    const member = this.#members[index] as Member
    member.thread = null
    this.#gone = [sumFigures([...this.#gone, member.figures])].map(({ intake, deliver }) => ({
      intake: { ...intake, connections: 0 },
      deliver: { ...deliver, active: 0, idle: 0 },
    }))
    member.figures = {}
    if (this.#stopped) return
    if (this.#clock.monotonicMs() - member.startedMs > quietMs) member.failures = 0
    const waitMs =
      member.failures === 0 ? 0 : Math.min(restartPauseMsMax.value, backOffMsMin * 2 ** (member.failures - 1))
    member.failures += 1
    member.restarts += 1
    if (waitMs === 0) this.#start(index)
    else this.#clock.after(waitMs, () => this.#start(index))
  }

  /** Of all of them, with the counters of those that died. */
  async figures(): Promise<readonly ThreadFigures[]> {
    await Promise.all(
      this.#members.map(async (member) => {
        const { thread } = member
        const answer = await thread?.ask((ask) => ({ kind: 'figures', ask }))
        if (answer?.kind === 'figures' && member.thread === thread) member.figures = answer.figures
      }),
    )
    return [...this.#members.map(({ figures }) => figures), ...this.#gone]
  }

  /** Nobody is replaced any more. */
  stop(): void {
    this.#stopped = true
  }

  async end(): Promise<void> {
    this.stop()
    await Promise.all(this.threads.map(({ worker }) => worker.terminate()))
  }

  #start(index: number): void {
    if (this.#stopped) return
    const member = this.#members[index] as Member
    member.startedMs = this.#clock.monotonicMs()
    const thread = this.#hire(index)
    member.thread = thread
  }
}

/** What intake and delivery of several threads come to. */
export function sumFigures(parts: readonly ThreadFigures[]): Required<Pick<ThreadFigures, 'intake' | 'deliver'>> {
  const intake = { connections: 0, counters: {} as Record<string, number> }
  const deliver = { active: 0, idle: 0, counters: {} as Record<string, number> }
  for (const part of parts) {
    intake.connections += part.intake?.connections ?? 0
    deliver.active += part.deliver?.active ?? 0
    deliver.idle += part.deliver?.idle ?? 0
    addCounters(intake.counters, part.intake?.counters)
    addCounters(deliver.counters, part.deliver?.counters)
  }
  return { intake, deliver }
}

function addCounters(sum: Record<string, number>, more: Counters = {}): void {
  for (const [name, value] of Object.entries(more)) sum[name] = (sum[name] ?? 0) + value
}
