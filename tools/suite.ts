/** Finds test files and runs each in a process of its own, one per core; failures are printed as they happen. */
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
  // What is the same for many processes is read and compiled once: a third of the CPU of the unit tests.
  process.env['NODE_COMPILE_CACHE'] ??= resolve('node_modules/.cache/compiled')
  const queue = [...files]
  const results: SuiteResult[] = []
  const lane = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const startedMs = performance.now()
      const result = await runFile(file)
      results.push(result)
      if (progress === 'none') continue
      const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1)
      console.log(
        `${result.failed === 0 ? '✔' : '✖'} ${file}  ${result.passed}/${result.passed + result.failed}  ${seconds} s`,
      )
    }
  }
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, lane))
  return {
    passed: results.reduce((sum, { passed }) => sum + passed, 0),
    failed: results.reduce((sum, { failed }) => sum + failed, 0),
  }
}

async function runFile(file: string): Promise<SuiteResult> {
  let passed = 0
  let failed = 0
  let output = ''
  const fail = (name: string, reason: string): void => {
    failed++
    printFailure(file, name, reason, output)
    output = ''
  }
  const deadline = AbortSignal.timeout(fileMsMax)
  for await (const { type, data } of run({ files: [file], signal: deadline, cwd: process.cwd() })) {
    if (type === 'test:stderr' || type === 'test:stdout') output = (output + data.message).slice(-4_000)
    if ((type !== 'test:pass' && type !== 'test:fail') || data.details.type === 'suite') continue
    if (type === 'test:fail') {
      if (isFailureOfParts(data.details.error)) continue
      fail(isFileItself(data.name, file) ? 'could not be run to its end' : data.name, reasonOf(data.details.error))
    } else if (isFileItself(data.name, file))
      fail('has no test', 'Add a test, or rename the file so that it does not end in .test.ts.')
    else if (data.skip !== undefined || data.todo !== undefined) fail(data.name, 'was skipped: mend it or delete it')
    else passed++
  }
  if (deadline.aborted)
    fail(
      'did not end',
      `It was stopped after ${fileMsMax / 1_000} s. Close what its tests open: servers, sockets, timers, children.`,
    )
  return { passed, failed }
}

function printFailure(file: string, name: string, reason: string, output: string): void {
  console.log(`\n✖ ${file} › ${name}\n${indent(reason)}`)
  if (output !== '') console.log(indent(`printed by the file so far:\n${output}`))
}

/** node:test reports on a file by its absolute path: a failure to load it, or that it holds no test. */
function isFileItself(name: string, file: string): boolean {
  return name === resolve(file)
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
