/** On the file system of this machine: what others may read, what a restart finds, and rotation by somebody else. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { firstNoonMs, headOf } from '../../../test/support/store-rig.ts'
import { systemClock } from '../../kernel/clock.ts'
import { dayMs, GiB, MiB } from '../../kernel/units.ts'
import { noFacts } from '../../model/submission.ts'
import { AccountingLog, type AccountingOptions, RefusalFile, systemFiles } from '../events.ts'

function optionsIn(t: TestContext, options: Partial<AccountingOptions> = {}): AccountingOptions {
  const parent = mkdtempSync(join(tmpdir(), 'posthaste-accounting-'))
  t.after(() => rmSync(parent, { recursive: true }))
  return {
    directory: join(parent, 'a', 'accounting'),
    clock: systemClock,
    rotateBytes: MiB,
    rotateMs: dayMs,
    keepMs: 30 * dayMs,
    keepBytes: GiB,
    compress: true,
    onProblem: () => undefined,
    files: systemFiles(),
    ...options,
  }
}

function accept(log: AccountingLog, from: number, to: number): void {
  for (let position = from; position <= to; position++)
    log.submission(position, headOf(position, firstNoonMs), noFacts, { log: 'intake-0', position })
}

const positions = (text: string): number[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { position: number }).position)

const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1)

test('two logs in one directory; a restart goes on behind a line that is not whole', async (t) => {
  const options = optionsIn(t)
  const path = join(options.directory, 'acct.json')
  const refusals = new RefusalFile(options)
  refusals.refused({ code: 'auth', address: '192.0.2.1' })
  let log = await AccountingLog.open(options)
  accept(log, 1, 10)
  await Promise.all([log.close(10_000), refusals.close(10_000)])
  assert.deepEqual(log.durable, new Map([['intake-0', 10]]))
  assert.equal(statSync(path).mode & 0o137, 0)
  assert.match(
    readFileSync(join(options.directory, 'refused.json'), 'utf8'),
    /^\{"v":1,"event":"refused",.*"code":"auth","address":"192\.0\.2\.1"\}\n$/,
  )

  truncateSync(path, statSync(path).size - 7)
  log = await AccountingLog.open(options)
  // What the state vouched for is gone by other hands: the file counts from its beginning, the state's marks all the same.
  assert.deepEqual(log.marks, new Map([['intake-0', 10]]))
  renameSync(path, join(options.directory, 'acct.json.1'))
  accept(log, 1, 12)
  await log.close(10_000)
  assert.deepEqual(positions(readFileSync(join(options.directory, 'acct.json.1'), 'utf8')), upTo(9))
  assert.deepEqual(positions(readFileSync(path, 'utf8')), [11, 12])
})

test('rotated files are compressed one after the other, and hold every line', async (t) => {
  const options = optionsIn(t, { rotateBytes: 2_000 })
  for (let n = 0; n < 3; n++) {
    const log = await AccountingLog.open(options)
    accept(log, 1 + n * 10, 10 + n * 10)
    await log.close(10_000)
  }
  const names = (): string[] => readdirSync(options.directory).filter((name) => name.startsWith('acct-'))
  const log = await AccountingLog.open(options)
  while (!names().every((name) => name.endsWith('.json.gz'))) await new Promise((resolve) => setTimeout(resolve, 5))
  await log.close(10_000)
  assert.equal(names().length, 3)
  const texts = names()
    .sort()
    .map((name) => gunzipSync(readFileSync(join(options.directory, name))).toString())
  assert.deepEqual(positions(texts.join('')), upTo(30))
})
