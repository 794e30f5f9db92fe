/**
 * `npm run check`: format, types, lint, unused code, then house rules and unit tests. Prints only what failed; the
 * tools run beside the tests, because both often wait, and the whole must stay under half a minute on two cores. `--without-tests` is for
 * those who ran them already.
 */
import { spawn } from 'node:child_process'
import { runSuite, testFiles } from './suite.ts'

interface Step {
  readonly name: string
  readonly command: readonly [string, ...string[]]
  readonly cure: string
}

const steps: readonly Step[] = [
  {
    name: 'types',
    command: ['tsc', '-p', '.', '--incremental', '--tsBuildInfoFile', '.cache/types'],
    cure: 'correct the types',
  },
  { name: 'format', command: ['biome', 'format', '.'], cure: 'npm run format' },
  {
    name: 'lint',
    command: ['oxlint', '--type-aware', '--deny-warnings'],
    cure: 'correct the code; a rule is changed in .oxlintrc.json only with a reason',
  },
  { name: 'unused code', command: ['knip', '--no-progress'], cure: 'delete it, or name the entry file in knip.json' },
]

/** Some tools take CI for a terminal with colours; a log file is read with its escape codes. */
const env = process.stdout.isTTY ? process.env : { ...process.env, NO_COLOR: '1' }

/** The step's output, or null when all is well. */
function failureOf({ command: [tool, ...toolArguments] }: Step): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(`node_modules/.bin/${tool}`, toolArguments, { stdio: ['ignore', 'pipe', 'pipe'], env })
    const output: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => output.push(chunk))
    child.on('error', reject)
    child.on('close', (code) => resolve(code === 0 ? null : Buffer.concat(output).toString()))
  })
}

async function checkSteps(failed: string[]): Promise<void> {
  for (const step of steps) {
    const failure = await failureOf(step)
    if (failure === null) continue
    failed.push(step.name)
    console.log(`\n✖ ${step.name}: ${step.cure}\n${failure.trimEnd()}`)
  }
}

const startedMs = performance.now()
const failed: string[] = []
const withTests = !process.argv.includes('--without-tests')
const [tests] = await Promise.all([
  withTests ? runSuite(testFiles(['src/**/*.test.ts', 'test/tidy.test.ts']), 'none') : { passed: 0, failed: 0 },
  checkSteps(failed),
])
if (tests.failed > 0) failed.push(`${tests.failed} of ${tests.passed + tests.failed} tests`)

const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1)
console.log(
  failed.length === 0
    ? `check: all well, ${tests.passed} tests, ${seconds} s`
    : `\ncheck failed after ${seconds} s: ${failed.join(', ')}`,
)
process.exitCode = failed.length > 0 ? 1 : 0
