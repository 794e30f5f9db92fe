/**
 * Time, as the only place that asks the machine for it. Everything else is handed a Clock, so that a simulation can
 * run days in milliseconds and a test can make the wall clock jump.
 */

export interface Timer {
  /** Starts the delay again from now. Cheap: connections call it for every command. */
  refresh(): void
  cancel(): void
}

export interface Clock {
  /** Wall clock, milliseconds since 1970. May jump; use it for what people and protocols see, never for a duration. */
  nowMs(): number
  /** Milliseconds that never run backwards, with fractions. Only differences mean something. */
  monotonicMs(): number
  /** Calls `fire` once after `delayMs` of monotonic time. Does not keep the process alive by itself. */
  after(delayMs: number, fire: () => void): Timer
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, fire) {
    const handle = setTimeout(fire, delayMs)
    handle.unref()
    return { refresh: () => void handle.refresh(), cancel: () => clearTimeout(handle) }
  },
}

interface VirtualTimer extends Timer {
  dueMs: number
  order: number
  readonly fire: () => void
}

/** A clock that moves only when told to. Timers fire in order of due time, then in order of creation. */
export class VirtualClock implements Clock {
  #monotonicMs = 0
  #wallOffsetMs: number
  #order = 0
  readonly #timers = new Set<VirtualTimer>()

  constructor(startMs = 1_700_000_000_000) {
    this.#wallOffsetMs = startMs
  }

  nowMs(): number {
    return Math.floor(this.#wallOffsetMs + this.#monotonicMs)
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  after(delayMs: number, fire: () => void): Timer {
    const timer: VirtualTimer = {
      dueMs: this.#monotonicMs + Math.max(0, delayMs),
      order: this.#order++,
      fire,
      refresh: () => {
        timer.dueMs = this.#monotonicMs + Math.max(0, delayMs)
        timer.order = this.#order++
        this.#timers.add(timer)
      },
      cancel: () => void this.#timers.delete(timer),
    }
    this.#timers.add(timer)
    return timer
  }

  /** Moves the wall clock alone, as an administrator or a bad time server would. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs
  }

  /** Advances by `byMs`, firing every timer that falls due on the way, each at its own due time. */
  advance(byMs: number): void {
    const endMs = this.#monotonicMs + byMs
    for (let timer = this.#next(endMs); timer !== null; timer = this.#next(endMs)) {
      this.#monotonicMs = Math.max(this.#monotonicMs, timer.dueMs)
      this.#timers.delete(timer)
      timer.fire()
    }
    this.#monotonicMs = endMs
  }

  #next(endMs: number): VirtualTimer | null {
    let best: VirtualTimer | null = null
    for (const timer of this.#timers) {
      if (timer.dueMs > endMs) continue
      if (best === null || timer.dueMs < best.dueMs || (timer.dueMs === best.dueMs && timer.order < best.order))
        best = timer
    }
    return best
  }
}
