/**
 * `npm test`: every test that needs nothing but Node. `npm test -- src/spool test/tidy.test.ts` runs a part.
 * Suites that need real servers or a registry are run by `.ci/run`.
 */
import { statSync } from 'node:fs'
import { runSuite, testFiles } from './suite.ts'

const needMoreThanNode = ['test/interop/**', 'test/packaging/**']

const wanted = process.argv.slice(2)
const patterns = wanted.map((path) =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true ? `${path}/**/*.test.ts` : path,
)
const files =
  wanted.length > 0 ? testFiles(patterns) : testFiles(['src/**/*.test.ts', 'test/**/*.test.ts'], needMoreThanNode)

const startedMs = performance.now()
console.log(`${files.length} test files …`)
const { passed, failed } = await runSuite(files, 'file by file')
console.log(`\n${((performance.now() - startedMs) / 1_000).toFixed(1)} s`)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed > 0 ? 1 : 0
