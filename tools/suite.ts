/**
 * Finds test files and runs them in as many processes as there are cores; failures are printed as they happen. Unit tests share a process
 * with their neighbours (tools/test-host.ts), because most of them take less time than a process takes to start.
 */
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { run } from 'node:test'
import { inspect } from 'node:util'

export interface SuiteResult {
  readonly passed: number
  readonly failed: number
}

/** Far above the longest file, so that only one that never ends meets it: a connection or a timer that a test left open. */
const fileMsMax = 90_000

/** These have a process of their own, beside everything that is not a unit test. */
const alone: ReadonlyMap<string, string> = new Map([
  ['src/app/drain.test.ts', 'starts threads of the engine, and the end of one of them ends the process'],
  ['src/app/supervisor.test.ts', 'starts threads of the engine, and the end of one of them ends the process'],
  ['src/spool/survival.test.ts', 'counts objects in the whole heap, which takes seconds in a large one'],
])

const host = resolve(import.meta.dirname, 'test-host.ts')

/** Files that match the patterns, sorted, each once. */
export function testFiles(patterns: readonly string[], exclude: readonly string[] = []): string[] {
  return globSync([...patterns], { exclude: [...exclude] }).sort()
}

/** No file, and a file without a test, count as failures: a suite that shrinks to nothing must not look green. */
export async function runSuite(files: readonly string[], progress: 'file by file' | 'none'): Promise<SuiteResult> {
  if (files.length === 0) {
    printFailure(
      '(none)',
      'no test file found',
      'Name files that exist, or run from the top folder of the project.',
      '',
    )
    return { passed: 0, failed: 1 }
  }
  // What is the same for many processes is read and compiled once.
  process.env['NODE_COMPILE_CACHE'] ??= resolve('node_modules/.cache/compiled')
  // One more than cores, because tests wait for disks, clocks and children.
  const lanes = availableParallelism() + 1
  // Those with a process of their own are the long ones, so they go first.
  const queue = [...files.filter(isAlone), ...files.filter((file) => !isAlone(file))]
  const sum = { passed: 0, failed: 0 }
  const lane = async (): Promise<void> => {
    while (queue.length > 0) {
      const group = new Group(nextGroup(queue, lanes), (file, { passed, failed }, ms) => {
        sum.passed += passed
        sum.failed += failed
        if (progress === 'none') return
        console.log(`${failed === 0 ? '✔' : '✖'} ${file}  ${passed}/${passed + failed}  ${(ms / 1_000).toFixed(1)} s`)
      })
      queue.unshift(...(await group.run()))
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return sum
}

/** Large groups first and small ones in the end, so that all lanes end at about the same time. */
function nextGroup(queue: string[], lanes: number): string[] {
  const size = Math.max(4, Math.ceil(queue.length / lanes / 2))
  return queue.splice(0, queue.slice(0, 1).some(isAlone) ? 1 : size)
}

function isAlone(file: string): boolean {
  return !file.startsWith('src/') || alone.has(file)
}

/** Files that share a process. */
class Group {
  /** Those that have not ended; the first is the one that runs. */
  readonly #waiting: string[]
  /** Whatever goes wrong after all of them have ended counts as its own. */
  readonly #last: string
  readonly #onFile: (file: string, result: SuiteResult, ms: number) => void
  #passed = 0
  #failed = 0
  #output = ''
  #startedMs = performance.now()

  constructor(files: readonly string[], onFile: (file: string, result: SuiteResult, ms: number) => void) {
    this.#waiting = [...files]
    this.#last = files.at(-1) as string
    this.#onFile = onFile
  }

  /** Gives back the files that the process did not come to, because another one ended it. */
  async run(): Promise<string[]> {
    const deadline = new AbortController()
    const stop = (): void => deadline.abort()
    let timer = setTimeout(stop, fileMsMax)
    let crash: string | null = null
    for await (const { type, data } of run({
      files: [host],
      argv: [...this.#waiting],
      // In MB. Tests throw away nearly all that they make: a tenth of their CPU went into collecting it bit by bit.
      execArgv: ['--max-semi-space-size=64'],
      signal: deadline.signal,
      cwd: process.cwd(),
    })) {
      if (type === 'test:stderr' || type === 'test:stdout') this.#output = (this.#output + data.message).slice(-4_000)
      // What a test threw after its end is told here alone.
      if (type === 'test:diagnostic' && data.message.startsWith('Error:')) this.#output += `${data.message}\n`
      if (type !== 'test:pass' && type !== 'test:fail') continue
      const error = type === 'test:fail' && !isFailureOfParts(data.details.error) ? data.details.error : null
      if (data.name === host) crash = error && reasonOf(error)
      else if (data.nesting === 0 && data.name === this.#waiting[0]) {
        if (error !== null) this.#fail('could not be run to its end', reasonOf(error))
        this.#endFile(data.details.duration_ms)
        clearTimeout(timer)
        timer = setTimeout(stop, fileMsMax)
      } else if (error !== null) this.#fail(data.name, reasonOf(error))
      else if (data.skip !== undefined || data.todo !== undefined)
        this.#fail(data.name, 'was skipped: mend it or delete it')
      else if (type === 'test:pass' && data.details.type !== 'suite') this.#passed++
    }
    clearTimeout(timer)
    this.#judgeEnd(deadline.signal.aborted, crash)
    return this.#waiting
  }

  /** Of a file that ended the process, or has not ended, nothing is known but that; it counts as one failure more. */
  #judgeEnd(stopped: boolean, crash: string | null): void {
    const haveEnded = this.#waiting.length === 0
    if (haveEnded) {
      if (!stopped && crash === null && this.#failed === 0) return
      this.#waiting.push(this.#last)
    }
    if (stopped)
      this.#fail(
        'did not end',
        `It was stopped after ${fileMsMax / 1_000} s. Close what its tests open: servers, sockets, timers, children.`,
      )
    else if (!haveEnded || crash !== null)
      this.#fail('could not be run to its end', crash ?? 'Its process ended before.')
    this.#endFile(performance.now() - this.#startedMs)
  }

  #fail(name: string, reason: string): void {
    this.#failed++
    printFailure(this.#waiting[0] ?? this.#last, name, reason, this.#output)
    this.#output = ''
  }

  #endFile(ms: number): void {
    if (this.#passed + this.#failed === 0)
      this.#fail('has no test', 'Add a test, or rename the file so that it does not end in .test.ts.')
    this.#onFile(this.#waiting.shift() as string, { passed: this.#passed, failed: this.#failed }, ms)
    this.#passed = 0
    this.#failed = 0
    this.#output = ''
    this.#startedMs = performance.now()
  }
}

function printFailure(file: string, name: string, reason: string, output: string): void {
  console.log(`\n✖ ${file} › ${name}\n${indent(reason)}`)
  if (output !== '') console.log(indent(`printed by the file so far:\n${output}`))
}

/** A test that failed only because a subtest did says nothing new. */
function isFailureOfParts(error: Error): boolean {
  return 'failureType' in error && error.failureType === 'subtestsFailed'
}

/** node:test wraps what the test threw; the inner error has the useful stack. */
function reasonOf(error: Error): string {
  const cause = error.cause
  if (cause instanceof Error) return cause.stack ?? cause.message
  return typeof cause === 'string' || cause === undefined ? (cause ?? error.message) : inspect(cause)
}

function indent(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, '    ')
}
