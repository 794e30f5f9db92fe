/**
 * Process that loads an HTTP server, apart from whoever measures: one job per process, given by the first message and answered by the last. Sends,
 * reads of their status and health checks run beside one another, on connections of their own. It goes before others on the CPU, because in truth it
 * would be another machine.
 */
import { setPriority } from 'node:os'
import { emailRequests, getRequest } from './email-request.ts'
import { type LoadOptions, type LoadResult, runLoad } from './http-load.ts'
import { type StatusFindings, StatusReader } from './status-reader.ts'
import { steadyMs } from './steady-ms.ts'

export interface SourceJob {
  readonly sends: LoadOptions & { readonly key: string; readonly bytes: number; readonly domains: number }
  /** Of messages that `sends` has had accepted. */
  readonly reads?: LoadOptions
  readonly health?: LoadOptions
}

export interface SourceReport {
  readonly sends: LoadResult
  readonly reads?: LoadResult & StatusFindings
  readonly health?: LoadResult
  /** By the steady clock, by number of the message; 0 where there was no 202. */
  readonly acceptedAtMs: Float64Array
  /** The first answer to a send that was not 202. */
  readonly refusal: string
  /** CPU of this process, shares of one core. */
  readonly cpuShare: number
}

process.once('message', (job: SourceJob) => {
  setPriority(-10)
  void run(job).then((report) => process.send?.(report, undefined, undefined, () => process.disconnect?.()))
})

async function run({ sends, reads, health }: SourceJob): Promise<SourceReport> {
  const startedMs = performance.now()
  const cpuBefore = process.cpuUsage()
  const reader = new StatusReader(sends.key)
  const sender = new Sender(sends, reads === undefined ? null : reader)
  const healthz = getRequest('/healthz', '')
  const checker = { request: () => healthz, answered: () => {} }
  const [sent, read, healthy] = await Promise.all([
    runLoad(sends, sender),
    reads && runLoad(reads, reader),
    health && runLoad(health, checker),
  ])
  const { user, system } = process.cpuUsage(cpuBefore)
  return {
    sends: sent,
    ...(read && { reads: { ...read, ...reader.findings() } }),
    ...(healthy && { health: healthy }),
    acceptedAtMs: Float64Array.from(sender.acceptedAtMs, (atMs) => atMs ?? 0),
    refusal: sender.refusal,
    cpuShare: (user + system) / 1_000 / (performance.now() - startedMs),
  }
}

class Sender {
  readonly acceptedAtMs: number[] = []
  refusal = ''
  readonly request: (number: number) => string
  readonly #reader: StatusReader | null

  constructor(sends: SourceJob['sends'], reader: StatusReader | null) {
    this.request = emailRequests(sends)
    this.#reader = reader
  }

  answered(number: number, { status, body }: { readonly status: number; readonly body: string }): void {
    if (status !== 202) {
      if (this.refusal === '') this.refusal = `${status} ${body.slice(0, 500)}`
      return
    }
    this.acceptedAtMs[number] = steadyMs()
    if (this.#reader === null) return
    const id = /"id" *: *"([^"]+)"/.exec(body)?.[1]
    if (id === undefined) throw new Error(`a 202 without an id: ${body.slice(0, 500)}`)
    this.#reader.accepted(id)
  }
}
