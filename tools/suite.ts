/** Finds test files and runs them in processes of their own, one per core; failures are printed as they happen. */
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { relative } from 'node:path'
import { run } from 'node:test'
import { inspect } from 'node:util'

export interface SuiteResult {
  readonly passed: number
  readonly failed: number
}

/** Stands above the longest single test (a few seconds) so that only a hang meets it. */
const testMsMax = 120_000

/** Files that match the patterns, sorted, each once. */
export function testFiles(patterns: readonly string[], exclude: readonly string[] = []): string[] {
  return globSync([...patterns], { exclude: [...exclude] }).sort()
}

/** No file, and a file without a test, count as failures: a suite that shrinks to nothing must not look green. */
export async function runSuite(files: readonly string[], progress: 'file by file' | 'none'): Promise<SuiteResult> {
  const printedOutput = new Map<string, string>()
  let passed = 0
  let failed = 0
  const fail = (file: string, name: string, reason: string): void => {
    failed++
    console.log(`\n✖ ${file} › ${name}\n${indent(reason)}`)
    const output = printedOutput.get(file)
    if (output !== undefined) console.log(indent(`printed by the file so far:\n${output}`))
    printedOutput.delete(file)
  }
  if (files.length === 0)
    fail('(none)', 'no test file found', 'Name files that exist, or run from the top folder of the project.')

  const concurrency = Math.max(2, availableParallelism())
  for await (const event of run({ files: [...files], concurrency, timeout: testMsMax, cwd: process.cwd() })) {
    if (event.type === 'test:stderr' || event.type === 'test:stdout') {
      const file = shown(event.data.file)
      printedOutput.set(file, ((printedOutput.get(file) ?? '') + event.data.message).slice(-4_000))
      continue
    }
    if (event.type === 'test:summary' && event.data.file !== undefined && progress === 'file by file') {
      const { passed: filePassed, tests } = event.data.counts
      console.log(`${filePassed === tests ? '✔' : '✖'} ${shown(event.data.file)}  ${filePassed}/${tests}`)
    }
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue
    if (event.data.details.type === 'suite') continue
    const file = shown(event.data.file ?? event.data.name)
    const isFileItself = shown(event.data.name) === file
    if (event.type === 'test:fail' && isFailureOfParts(event.data.details.error)) continue
    if (event.type === 'test:fail') fail(file, event.data.name, reasonOf(event.data.details.error))
    else if (isFileItself)
      fail(file, 'has no test', 'Add a test, or rename the file so that it does not end in .test.ts.')
    else if (event.data.skip !== undefined || event.data.todo !== undefined)
      fail(file, event.data.name, 'was skipped: fix it or delete it')
    else passed++
  }
  return { passed, failed }
}

function shown(file: string): string {
  return relative(process.cwd(), file)
}

/** A test that failed only because a subtest did says nothing new. */
function isFailureOfParts(error: Error): boolean {
  return 'failureType' in error && error.failureType === 'subtestsFailed'
}

/** node:test wraps what the test threw; the inner error has the useful stack. */
function reasonOf(error: Error): string {
  const cause = error.cause
  if (cause instanceof Error) return cause.stack ?? cause.message
  return cause === undefined ? error.message : inspect(cause)
}

function indent(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, '    ')
}
