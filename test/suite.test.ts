/** What runs the tests must tell whatever goes wrong in them: a folder of bad test files that share a process, and what is said of it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const head = "import { test } from 'node:test'\n"
const bad = new Map([
  ['a-fails', `${head}test('good', () => {})\ntest('wrong', () => { throw new Error('as it should') })`],
  [
    'b-leaves-a-server',
    `import { createServer } from 'node:net'\n${head}
    test('leaves', (_, done) => { createServer().listen(0, '127.0.0.1', done) })`,
  ],
  ['c-leaves-a-variable', `${head}test('sets', () => { process.env['LEFT'] = 'behind' })`],
  ['d-is-killed', `${head}test('dies', () => { process.kill(process.pid, 'SIGKILL') })`],
  ['e-exits', `${head}test('exits', () => { process.exit(0) })`],
  ['f-is-empty', ''],
  ['g-is-no-program', 'this is no program'],
  [
    'h-is-skipped',
    // Text of a file that the test writes, to show that a skipped test counts as failed: no test of ours is skipped here.
    `import { describe } from 'node:test'\n${head}test.skip('one', () => {})\ndescribe.skip('all', () => {})`,
  ],
  ['i-is-good', `${head}test('after all of them', () => {})`],
  ['j-is-late', `${head}test('in time', () => {})\nsetTimeout(() => test('too late', () => {}), 20)`],
])

test('whatever goes wrong in a file counts and is told by its name, and its neighbours run all the same', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'posthaste-suite-'))
  t.after(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'src'))
  for (const [name, text] of bad) writeFileSync(join(folder, 'src', `${name}.test.ts`), text)
  // Without what this process has from the one that runs it, which would make it a part of this test.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const program = fileURLToPath(new URL('../tools/test.ts', import.meta.url))

  const { status, stdout } = spawnSync(process.execPath, [program, 'src'], { cwd: folder, env, encoding: 'utf8' })

  assert.equal(status, 1)
  for (const told of [
    /✖ src\/a-fails\.test\.ts › wrong\n +Error: as it should/,
    /✖ src\/b-leaves-a-server\.test\.ts › could not be run to its end\n.*It leaves behind: TCPServerWrap/,
    /✖ src\/c-leaves-a-variable\.test\.ts › could not be run to its end\n.*It leaves behind: environment/,
    /✖ src\/d-is-killed\.test\.ts › could not be run to its end/,
    /✖ src\/e-exits\.test\.ts › could not be run to its end/,
    /✖ src\/f-is-empty\.test\.ts › has no test/,
    /✖ src\/g-is-no-program\.test\.ts › could not be run to its end/,
    /✖ src\/h-is-skipped\.test\.ts › one\n.*was skipped/,
    /✖ src\/h-is-skipped\.test\.ts › all\n.*was skipped/,
    /✔ src\/i-is-good\.test\.ts {2}1\/1 /,
    /✖ src\/j-is-late\.test\.ts › too late\n/,
  ])
    assert.match(stdout, told)
  assert.match(stdout, /\n5 passed, 10 failed\n$/)
})
