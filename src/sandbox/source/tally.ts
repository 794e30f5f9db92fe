/** Counts of a run: replies by code, latencies as a histogram of fixed size, and a line per second. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

export interface SourceResult {
  /** Messages begun: acked + refused + unacked. */
  readonly sent: number
  /** Answered 2xx to the content. */
  readonly acked: number
  /** Answered 4xx or 5xx somewhere. */
  readonly refused: number
  /** Begun, and the connection was lost before the answer. */
  readonly unacked: number
  /** Planned and not begun: time was up, or no server could be reached any more. */
  readonly unsent: number
  /** How often each code ended a message. */
  readonly codes: Readonly<Record<string, number>>
  /** From MAIL to the reply to the content of acked messages; with a rate, from when MAIL was due. Milliseconds. */
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly elapsedMs: number
  readonly ackedPerSecond: number
  readonly bytes: number
  /** Connections made, first and repeated. */
  readonly connections: number
  /** One entry per second of the run, at most a day of them. */
  readonly seconds: readonly { readonly acked: number; readonly refused: number; readonly unacked: number }[]
  /** Why connections were lost or refused: the latest reason; null when none was. */
  readonly trouble: string | null
}

type Ending = 'acked' | 'refused' | 'unacked'

const secondsMax = 86_400

export class Tally {
  connections = 0
  trouble: string | null = null
  readonly #startMs: number
  readonly #codes = new Map<number, number>()
  /** Microseconds, three figures. */
  readonly #latency: RecordableHistogram = createHistogram({ figures: 3 })
  readonly #seconds: Record<Ending, number>[] = []
  readonly #totals: Record<Ending, number> = { acked: 0, refused: 0, unacked: 0 }
  #bytes = 0

  constructor(startMs: number) {
    this.#startMs = startMs
  }

  get ended(): number {
    return this.#totals.acked + this.#totals.refused + this.#totals.unacked
  }

  acked(code: number, nowMs: number, latencyMs: number, bytes: number): void {
    this.#count('acked', code, nowMs)
    this.#latency.record(Math.max(1, Math.round(latencyMs * 1000)))
    this.#bytes += bytes
  }

  refused(code: number, nowMs: number): void {
    this.#count('refused', code, nowMs)
  }

  unacked(nowMs: number): void {
    this.#count('unacked', 0, nowMs)
  }

  #count(ending: Ending, code: number, nowMs: number): void {
    this.#totals[ending]++
    if (code !== 0) this.#codes.set(code, (this.#codes.get(code) ?? 0) + 1)
    const second = Math.min(secondsMax - 1, Math.floor((nowMs - this.#startMs) / 1000))
    while (this.#seconds.length <= second) this.#seconds.push({ acked: 0, refused: 0, unacked: 0 })
    const entry = this.#seconds[second]
    if (entry !== undefined) entry[ending]++
  }

  result(nowMs: number, unsent: number): SourceResult {
    const elapsedMs = nowMs - this.#startMs
    const { acked } = this.#totals
    const ms = (micros: number): number => (acked === 0 ? 0 : micros / 1000)
    return {
      sent: this.ended,
      ...this.#totals,
      unsent,
      codes: Object.fromEntries([...this.#codes].sort((a, b) => a[0] - b[0])),
      latencyMs: {
        p50: ms(this.#latency.percentile(50)),
        p99: ms(this.#latency.percentile(99)),
        max: ms(this.#latency.max),
      },
      elapsedMs,
      ackedPerSecond: elapsedMs === 0 ? 0 : (acked * 1000) / elapsedMs,
      bytes: this.#bytes,
      connections: this.connections,
      seconds: this.#seconds,
      trouble: this.trouble,
    }
  }
}
