/**
 * Runs the test files given as arguments one after the other in this process, each as a suite named for its file: what they share is
 * loaded, and warm, once. A file that leaves something behind for the next ones has failed, and is named here.
 */
import { resolve } from 'node:path'
// Opens the three standard streams, which are then not left behind by the file that uses one of them first.
import process from 'node:process'
import { after, suite } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { isDeepStrictEqual } from 'node:util'

/** Closing a socket takes a few turns of the event loop; what is still open much later was forgotten. */
const closingMsMax = 3_000

/** Whoever listens to these, such as the loggers, disturbs nobody before. */
const atTheEnd: ReadonlySet<string | symbol> = new Set(['exit', 'beforeExit'])

/** What belongs to the whole process. */
interface Shared {
  /** Open resources that keep the process alive, and listeners of the process, by kind. */
  readonly counts: ReadonlyMap<string, number>
  readonly settings: Readonly<Record<string, unknown>>
}

function shared(): Shared {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  for (const name of process.eventNames())
    if (!atTheEnd.has(name)) counts.set(`listener of ${String(name)}`, process.listenerCount(name))
  return {
    counts,
    settings: { folder: process.cwd(), environment: { ...process.env }, 'exit code': process.exitCode },
  }
}

function stillOpen(before: Shared): string[] {
  return [...shared().counts].filter(([kind, count]) => count > (before.counts.get(kind) ?? 0)).map(([kind]) => kind)
}

async function assertNothingLeft(before: Shared): Promise<void> {
  const { settings } = shared()
  const changed = Object.keys(settings).filter((name) => !isDeepStrictEqual(settings[name], before.settings[name]))
  const deadlineMs = performance.now() + closingMsMax
  while (stillOpen(before).length > 0 && performance.now() < deadlineMs) await delay(10)
  const left = [...stillOpen(before), ...changed].join(', ')
  if (left === '') return
  throw new Error(
    `It leaves behind: ${left}. Close or undo it in t.after, or list the file in tools/suite.ts with the reason.`,
  )
}

// Some tests wait for what keeps no process alive by itself, such as a thread that is not waited for at the end.
const awake = setInterval(() => {}, 60_000)
for (const file of process.argv.slice(2)) {
  await suite(file, async () => {
    const before = shared()
    await import(pathToFileURL(resolve(file)).href)
    after(() => assertNothingLeft(before))
  })
  // Its result leaves before the next file begins: of that one it may be the last.
  await delay(1)
}
clearInterval(awake)
