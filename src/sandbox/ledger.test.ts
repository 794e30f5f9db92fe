import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { compareLedgers, openLedger, readLedger, type ReceivedRecord, type SentRecord } from './sandbox.ts'

function path(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-ledger-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return join(directory, 'ledger')
}

test('what was waited for is in the file, in order', async (t) => {
  const file = path(t)
  const ledger = openLedger(file)
  ledger.append({ n: 1 })
  await ledger.durable()
  assert.deepEqual(readLedger(file), { records: [{ n: 1 }], torn: false })
  const waits: Promise<void>[] = []
  for (let n = 2; n <= 500; n++) {
    ledger.append({ n })
    waits.push(ledger.durable())
  }
  await Promise.all(waits)
  assert.equal(readFileSync(file, 'utf8').split('\n').length, 501)
  ledger.append({ n: 501 })
  await ledger.close()
  assert.deepEqual(
    readLedger<{ n: number }>(file).records.map((record) => record.n),
    Array.from({ length: 501 }, (_, i) => i + 1),
  )
})

test('a line that nobody waits for is written all the same', async (t) => {
  const file = path(t)
  const ledger = openLedger(file)
  t.after(() => ledger.close())
  ledger.append({ n: 1 })
  while (readLedger(file).records.length === 0) await new Promise(setImmediate)
})

test('a torn last line is left out, at every byte, and removed before the next', async (t) => {
  const file = path(t)
  const whole = '{"n":1}\n{"n":2}\n{"n":"drei"}\n'
  for (let cut = 17; cut < whole.length; cut++) {
    writeFileSync(file, whole.slice(0, cut))
    assert.deepEqual(readLedger(file), { records: [{ n: 1 }, { n: 2 }], torn: true })
  }
  const ledger = openLedger(file)
  ledger.append({ n: 4 })
  await ledger.close()
  assert.deepEqual(readLedger(file), { records: [{ n: 1 }, { n: 2 }, { n: 4 }], torn: false })

  writeFileSync(file, 'x'.repeat(200_000))
  await openLedger(file).close()
  assert.equal(readFileSync(file).length, 0)
})

test('a damaged line in the middle is an error, not a gap', (t) => {
  const file = path(t)
  writeFileSync(file, '{"n":1}\n')
  appendFileSync(file, 'oops\n{"n":3}\n')
  assert.throws(() => readLedger(file), { code: 'ledger_damaged', message: /line 2 / })
})

test('a failed write fails every later wait', async (t) => {
  const ledger = openLedger('/dev/full')
  t.after(() => ledger.close().catch(() => {}))
  ledger.append({ n: 1 })
  await assert.rejects(ledger.durable(), { code: 'ENOSPC' })
  ledger.append({ n: 2 })
  await assert.rejects(ledger.durable(), { code: 'ENOSPC' })
  assert.throws(() => openLedger('/nonexistent/ledger'), { code: 'ledger_unusable' })
})

test('the comparison finds what was lost, changed, doubled and never sent', () => {
  const sent = (id: string, code = 250): SentRecord => ({ id, rcpt: 'r', sha256: id, code, sentMs: 0, ackedMs: 1 })
  const got = (id: string, sha256 = id): ReceivedRecord => ({
    id,
    rcpt: 'r',
    sha256,
    bytes: 1,
    from: 's',
    receivedMs: 2,
    connection: 1,
    replyLost: false,
  })
  const result = compareLedgers(
    [sent('ok'), sent('lost'), sent('twice'), sent('changed'), sent('perhaps', 0), sent('perhaps not', 0)],
    [got('ok'), got('twice'), got('twice'), got('changed', 'other'), got('perhaps'), got('nobody')],
  )
  assert.deepEqual(result, {
    acked: 4,
    received: 6,
    lost: ['lost r'],
    changed: ['changed r'],
    duplicates: ['twice r'],
    unknown: ['nobody r'],
  })
})
