/**
 * The client of a crash run, as a process of its own that nobody kills: keeps sending at its rate through every death of the server, and swears
 * in its ledger to what was acknowledged.
 */
import { once } from 'node:events'
import { openLedger, runSource, type SourceResult } from '../../src/sandbox/sandbox.ts'
import { seededRandom } from '../../src/kernel/random.ts'
import { recipientOf } from './receiver-script.ts'

export interface SourceTask {
  readonly port: number
  readonly ledger: string
  readonly ratePerSecond: number
  readonly seed: number
}

/** Shares of the rate by size: the usual, and now and then one that is larger than what a transaction stages, so that it is stored in chunks. */
const kinds = [
  { bytes: 2_000, share: 0.25 },
  { bytes: 4_500, share: 0.25 },
  { bytes: 7_000, share: 0.25 },
  { bytes: 10_000, share: 0.246 },
  { bytes: 200_000, share: 0.004 },
] as const
const sessionsPerKind = 6
/** Longer than any run. */
const durationMs = 24 * 3_600_000

async function load(task: SourceTask, signal: AbortSignal): Promise<SourceResult[]> {
  const ledger = openLedger(task.ledger)
  const results = await Promise.all(
    kinds.map(({ bytes, share }, kind) =>
      runSource({
        host: '127.0.0.1',
        port: task.port,
        sessions: sessionsPerKind,
        ratePerSecond: task.ratePerSecond * share,
        durationMs,
        bytes,
        to: recipientOf(task.seed + kind),
        ledger,
        reconnectMsMax: durationMs,
        reconnectDelayMsMax: 100,
        random: seededRandom(task.seed * 100 + kind),
        signal,
      }),
    ),
  )
  await ledger.close()
  return results
}

const [text] = process.argv.slice(2)
if (text === undefined || process.send === undefined) throw new Error('crash.ts starts this file, with its task')
const stop = new AbortController()
process.once('message', () => stop.abort())
process.send(await load(JSON.parse(text) as SourceTask, stop.signal))
await once(process, 'disconnect')
