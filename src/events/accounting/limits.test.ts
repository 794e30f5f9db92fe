/** Bounds of the accounting log at their edge: one below, at it, one above. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorOf } from '../../../test/support/accounting-disk.ts'
import { AccountingRig, acctPath, directory, textLines, turn } from '../../../test/support/accounting-rig.ts'
import { dayMs, GiB, hourMs, MiB, secondMs } from '../../kernel/units.ts'
import { noFacts } from '../../model/submission.ts'
import { headOf } from '../../../test/support/store-rig.ts'
import { clockDoubtMsMin } from '../limits.ts'
import {
  filesSearchedMax,
  lineBytesMax,
  refusalBytesMax,
  refusalCharactersMax,
  refusalsPerSecondMax,
  retryMsMax,
  stallMsMax,
  waitingBytesMax,
} from './limits.ts'
import { RefusalFile } from './refusals.ts'

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]

test('limit accounting.waiting: beyond so many bytes it is crowded, until half of it is on disk', async () => {
  for (const bytes of around(waitingBytesMax.value)) {
    const rig = new AccountingRig()
    await rig.open()
    let release = (): void => undefined
    const stuck = new Promise<void>((resolve) => (release = resolve))
    rig.disk.before = ({ what }) => (what === 'write' ? stuck : undefined)
    let rooms = 0
    rig.log.onRoom = () => void (rooms += 1)
    const accept = (position: number, characters: number): void => {
      const head = headOf(position, 0, { client: 'x'.repeat(characters) })
      rig.log.submission(1, head, noFacts, { log: 'intake-0', position })
    }
    accept(10, 1)
    const around1 = rig.log.figures().waitingBytes - 1
    accept(20, bytes - 2 * around1 - 1)
    assert.deepEqual([rig.log.figures().waitingBytes, rig.log.crowded], [bytes, bytes > waitingBytesMax.value])
    release()
    await rig.durable()
    assert.deepEqual([rig.log.crowded, rooms], [false, bytes > waitingBytesMax.value ? 1 : 0])
    assert.deepEqual(rig.log.marks, new Map([['intake-0', 20]]))
  }
})

test('limit accounting.line: a line of that length is read at a start, a longer one is none', async () => {
  for (const bytes of around(lineBytesMax.value)) {
    const rig = new AccountingRig()
    const line = '{"v":1,"log":"intake-0","position":5,"index":0,"subject":""}'
    rig.disk.put(acctPath, Buffer.from(`${line.replace('""', `"${'x'.repeat(bytes - line.length)}"`)}\n`))
    await rig.open()
    assert.equal(rig.log.marks.has('intake-0'), bytes <= lineBytesMax.value)
    assert.equal(rig.disk.get(acctPath)?.length, bytes <= lineBytesMax.value ? bytes + 1 : 0)
  }
})

test('limit accounting.retry: pauses between tries double up to it', async () => {
  const rig = new AccountingRig()
  await rig.open()
  const triedMs: number[] = []
  rig.disk.before = ({ what }) => {
    if (what !== 'write') return
    triedMs.push(rig.clock.monotonicMs())
    throw errorOf('EIO')
  }
  rig.accept(1)
  await rig.until(() => triedMs.length === 10, 500)
  const pauses = triedMs.slice(1).map((ms, i) => ms - (triedMs[i] as number))
  assert.deepEqual(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
  assert.equal(pauses.at(-1), retryMsMax.value)
})

test('limit accounting.stall: a call that takes as long is told of', async () => {
  for (const ms of around(stallMsMax.value)) {
    const rig = new AccountingRig()
    await rig.open()
    rig.disk.before = ({ what }) => (what === 'write' ? new Promise<void>(() => undefined) : undefined)
    rig.accept(1)
    // Lines wait a moment for company.
    rig.clock.advance(100)
    await turn()
    rig.clock.advance(ms)
    assert.equal(rig.problems.length, ms >= stallMsMax.value ? 1 : 0)
  }
})

test('limit accounting.files-searched: without a state, marks are looked for in so many rotated files', async () => {
  const max = filesSearchedMax.value
  for (const files of around(max)) {
    const rig = new AccountingRig()
    for (let n = 0; n < files; n++) {
      const line = `{"v":1,"log":"intake-${n}","position":5,"index":0}\n`
      rig.disk.put(`${directory}/acct-20260601T000000Z-${n + 1}.json`, Buffer.from(line))
    }
    await rig.open()
    assert.equal(rig.log.marks.size, Math.min(files, max))
  }
})

function refusals(rig: AccountingRig): RefusalFile {
  return new RefusalFile({ ...rig.options, files: rig.disk.files })
}

const refusedPath = `${directory}/refused.json`
const eventsIn = (rig: AccountingRig): string[] =>
  textLines(rig.disk.get(refusedPath)).map((line) => {
    const { event, count } = JSON.parse(line) as { event: string; count?: number }
    return count === undefined ? event : `${event} ${count}`
  })

test('limit refusals.rate: so many are written in a second, and how many more there were', async () => {
  const max = refusalsPerSecondMax.value
  for (const count of around(max)) {
    const rig = new AccountingRig()
    const file = refusals(rig)
    for (let n = 0; n < count; n++) file.refused({ code: 'auth', address: '192.0.2.1' })
    await rig.pass(2 * secondMs)
    file.refused({ code: 'auth' })
    await rig.pass(2 * secondMs)
    const all = eventsIn(rig)
    assert.equal(all.filter((event) => event === 'refused').length, Math.min(count, max) + 1)
    assert.deepEqual(
      all.filter((event) => event !== 'refused'),
      count > max ? ['refused_omitted 1'] : [],
    )
    void file.close(1)
  }
})

test('limit refusals.waiting: on a disk that hangs so much is kept, and what is left out is counted', async () => {
  const rig = new AccountingRig()
  let release = (): void => undefined
  const stuck = new Promise<void>((resolve) => (release = resolve))
  rig.disk.before = ({ what }) => (what === 'write' ? stuck : undefined)
  const file = refusals(rig)
  const event = { reply: 'x'.repeat(900) }
  for (let n = 0; n < 10; n++) {
    for (let i = 0; i < 50; i++) file.refused(event)
    await rig.pass(secondMs)
  }
  release()
  await rig.pass(10 * secondMs)
  const all = eventsIn(rig)
  const kept = all.filter((name) => name === 'refused').length
  const lineBytes = textLines(rig.disk.get(refusedPath))[0]?.length as number
  assert.equal(kept, Math.floor(refusalBytesMax.value / (lineBytes + 1)) + 1)
  assert.deepEqual(all.slice(kept), [`refused_omitted ${500 - kept}`])
})

test('limit refusals.text: a text of that length is kept, of a longer one the beginning', async () => {
  for (const characters of around(refusalCharactersMax.value)) {
    const rig = new AccountingRig()
    refusals(rig).refused({ credentialId: 'x'.repeat(characters), tenant: '', error: new Error('no') })
    await rig.pass(2 * secondMs)
    const { time, ...rest } = JSON.parse(textLines(rig.disk.get(refusedPath))[0] as string) as Record<string, unknown>
    assert.match(String(time), /^2026-07-01T12:00:00/)
    assert.deepEqual(rest, {
      v: 1,
      event: 'refused',
      credential_id: 'x'.repeat(Math.min(characters, refusalCharactersMax.value)),
    })
  }
})

test('refusals go on behind the last whole line of the process before', async () => {
  const rig = new AccountingRig()
  rig.disk.put(refusedPath, Buffer.from('{"v":1,"event":"refused","code":"old"}\n{"v":1,"ev'))
  refusals(rig).refused({ code: 'new' })
  await rig.pass(2 * secondMs)
  assert.deepEqual(
    textLines(rig.disk.get(refusedPath)).map((line) => (JSON.parse(line) as { code: string }).code),
    ['old', 'new'],
  )
})

test('limit accounting.rotate_size: a file of that size is rotated, a smaller one is not', async () => {
  const size = new AccountingRig()
  await size.open()
  size.accept(1)
  await size.durable()
  const bytes = size.disk.get(acctPath)?.length as number
  for (const rotateBytes of around(bytes)) {
    const rig = new AccountingRig({ rotateBytes })
    await rig.open()
    rig.accept(1)
    await rig.durable()
    await rig.pass(secondMs)
    assert.equal(
      rig.names.some((name) => name.startsWith('acct-')),
      bytes >= rotateBytes,
    )
  }
})

test('limit accounting.rotate_every: rotated when a period ends, and not before', async () => {
  const rig = new AccountingRig()
  await rig.open()
  rig.accept(1)
  await rig.durable()
  const untilMidnightMs = dayMs - (rig.clock.nowMs() % dayMs)
  rig.clock.advance(untilMidnightMs - 2 * secondMs)
  await rig.pass(secondMs)
  assert.deepEqual(rig.names, ['acct.json', 'acct.state'])
  await rig.pass(65 * secondMs)
  assert.deepEqual(rig.names.filter((name) => name.startsWith('acct-')).length, 1)
  // An empty one stays.
  await rig.until(() => rig.clock.nowMs() > Date.UTC(2026, 6, 3, 1), 30 * secondMs)
  assert.deepEqual(rig.names.filter((name) => name.startsWith('acct-')).length, 1)
})

async function rotatedAfterStart(
  rig: AccountingRig,
  files: readonly (readonly [name: string, bytes: number])[],
): Promise<string[]> {
  for (const [name, bytes] of files) rig.disk.put(`${directory}/${name}`, Buffer.alloc(bytes, '\n'))
  await rig.open()
  await rig.pass(secondMs)
  return rig.names.filter((name) => name.startsWith('acct-'))
}

/** A file every five days. */
const lastMonth = ['05', '10', '15', '20', '25', '30'].map((day) => [`acct-202606${day}T120000Z-1.json`, 5] as const)

test('limit accounting.retention: a file as old as that is kept, one that is older is removed', async () => {
  // The rig begins at noon, and has waited a second or two when files are looked at.
  const files = [['acct-20260601T115900Z-1.json', 5], ['acct-20260601T120100Z-1.json', 5], ...lastMonth] as const
  const rig = new AccountingRig()
  assert.deepEqual((await rotatedAfterStart(rig, files))[0], 'acct-20260601T120100Z-1.json')
  assert.deepEqual(rig.problems, [])
})

const longAheadMs = 25 * 365 * dayMs

test('limit store.clock-ahead: a clock that is a week and a period beyond the newest rotated file is believed, one that is more removes none', async () => {
  for (const aheadMs of [-secondMs, 0, secondMs]) {
    const rig = new AccountingRig({ keepMs: 2 * dayMs, rotateMs: 3 * dayMs })
    // The newest is of noon the day before, and a second passes before files are looked at.
    rig.clock.jumpWall(9 * dayMs - secondMs + aheadMs)
    const left = await rotatedAfterStart(rig, lastMonth)
    assert.deepEqual([left.length, rig.problems.length], aheadMs <= 0 ? [0, 0] : [1, 1])
  }
})

test('limit store.clock-doubt: what a clock has said for twenty hours makes rotated files old', async () => {
  const rig = new AccountingRig()
  rig.clock.jumpWall(longAheadMs)
  assert.equal((await rotatedAfterStart(rig, lastMonth)).length, lastMonth.length)
  assert.equal(rig.problems.length, 1)
  assert.match(
    rig.problems[0] ?? '',
    /^The clock says 2051-.*files of acct\.json that are kept.*accounting\.retention.* in 20h/,
  )
  const passUntil = async (ms: number): Promise<number> => {
    await rig.until(() => rig.clock.monotonicMs() >= ms, hourMs / 4)
    return rig.names.filter((name) => name.startsWith('acct-2026')).length
  }
  assert.equal(await passUntil(clockDoubtMsMin.value - hourMs), lastMonth.length)
  assert.equal(await passUntil(clockDoubtMsMin.value + 2 * hourMs), 0)
  // Time passes in leaps that a disk is slow for.
  assert.equal(rig.problems.filter((text) => text.includes('clock')).length, 1)
})

test('a clock that is put right again has removed nothing, whatever was rotated under it and however often it began', async () => {
  const rig = new AccountingRig({ rotateBytes: 1 })
  await rotatedAfterStart(rig, lastMonth)
  rig.accept(1)
  await rig.durable()
  for (const [i, byMs] of [longAheadMs, 0, 2 * dayMs].entries()) {
    await rig.close()
    rig.clock.jumpWall(byMs)
    await rig.open()
    rig.settle(1 + i)
    await rig.durable()
    await rig.pass(secondMs)
  }
  assert.equal(rig.names.filter((name) => name.startsWith('acct-2051')).length, 3)
  await rig.close()
  rig.clock.jumpWall(-longAheadMs - 2 * dayMs)
  rig.problems.length = 0
  await rig.open()
  await rig.pass(secondMs)
  assert.equal(rig.names.filter((name) => name.startsWith('acct-2026')).length, lastMonth.length + 1)
  assert.deepEqual(rig.problems, [])
})

test('a file from before the clock was set for the first time hides nothing of what followed', async () => {
  const rig = new AccountingRig()
  const files = [['acct-19700101T000500Z-1.json', 5], ['acct-20260520T120000Z-1.json', 5], ...lastMonth] as const
  assert.equal((await rotatedAfterStart(rig, files)).length, lastMonth.length)
  assert.deepEqual(rig.problems, [])
})

test('rotated once in a month, files are as old as they are', async () => {
  const files = ['20260301', '20260401', '20260501', '20260601'].map(
    (day) => [`acct-${day}T000000Z-1.json`, 5] as const,
  )
  const rig = new AccountingRig({ rotateMs: 30 * dayMs, keepMs: 40 * dayMs })
  assert.deepEqual(await rotatedAfterStart(rig, files), ['acct-20260601T000000Z-1.json'])
  assert.deepEqual(rig.problems, [])
})

test('limit accounting.size_max: files that take as much stay, for one octet more the oldest is removed', async () => {
  const files = [
    ['acct-20260629T120000Z-1.json', 400],
    ['acct-20260629T120000Z-2.json.gz', 300],
    ['acct-20260630T120000Z-1.json.gz', 300],
  ] as const
  for (const keepBytes of around(1_000)) {
    const left = await rotatedAfterStart(new AccountingRig({ keepBytes }), files)
    assert.deepEqual(
      left,
      files.slice(keepBytes < 1_000 ? 1 : 0).map(([name]) => name),
    )
  }
  assert.equal(
    (await rotatedAfterStart(new AccountingRig({ keepBytes: 5 * GiB }), [['acct-20260629T120000Z-1.json', MiB]]))
      .length,
    1,
  )
})

test('of refusals that find no room nobody is promised anything', async () => {
  const rig = new AccountingRig()
  rig.disk.before = ({ what }) => {
    if (what === 'write') throw errorOf('ENOSPC')
  }
  refusals(rig).refused({ code: 'auth' })
  await rig.pass(1_000)
  assert.match(
    rig.problems[0] ?? '',
    /refused\.json cannot be written: .+ lines beyond what memory may hold are left out\.$/,
  )
})
