/** The accounting log on disks that are slow, full, gone or taken away: nobody waits, nothing is lost, nothing comes twice. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { errorOf } from '../../../test/support/accounting-disk.ts'
import { AccountingRig, acctPath, directory, textLines, turn } from '../../../test/support/accounting-rig.ts'
import { dayMs, hourMs, MiB, secondMs } from '../../kernel/units.ts'

test('a line for each recipient and each outcome, in the file and known to be there after a second', async () => {
  const rig = new AccountingRig()
  await rig.open()
  rig.accept(10, { recipients: 2 })
  rig.settle(5, 'deferred')
  rig.settle(7)
  assert.deepEqual(rig.log.durable, new Map())
  await rig.durable()
  assert.deepEqual(rig.lines(), ['accepted 10/0', 'accepted 10/1', 'deferred 5/0', 'delivered 7/0'])
  assert.deepEqual(
    rig.log.durable,
    new Map([
      ['intake-0', 10],
      ['outcome-0', 7],
    ]),
  )
  assert.deepEqual(rig.log.marks, rig.log.durable)
  assert.equal(rig.log.figures().lines, 4)
  assert.equal(rig.log.figures().bytes, rig.disk.get(acctPath)?.length)
})

test('what was there before is not written again, by the same log or by the next', async () => {
  const rig = new AccountingRig()
  await rig.open()
  for (const life of [1, 2]) {
    rig.accept(10, { recipients: 3 })
    rig.accept(10, { recipients: 3 })
    rig.accept(9)
    rig.accept(20 * life)
    await rig.close()
    await rig.open()
  }
  assert.deepEqual(rig.lines(), ['accepted 10/0', 'accepted 10/1', 'accepted 10/2', 'accepted 20/0', 'accepted 40/0'])
  assert.deepEqual(rig.problems, [])
})

test('a record of which some lines are there goes on in its middle', async () => {
  const rig = new AccountingRig()
  await rig.open()
  rig.accept(10, { recipients: 3 })
  await rig.durable()
  rig.kill()
  const bytes = rig.disk.get(acctPath) as Buffer
  const second = bytes.indexOf(10, bytes.indexOf(10) + 1)
  rig.disk.remove(`${directory}/acct.state`)
  rig.disk.put(acctPath, bytes.subarray(0, second + 30))
  await rig.open()
  assert.deepEqual([rig.log.marks, rig.log.durable], [new Map([['intake-0', 10]]), new Map([['intake-0', 9]])])
  assert.match(rig.problems[0] ?? '', /^accounting: 29 bytes of lines that were not whole were cut off/)
  rig.accept(10, { recipients: 3 })
  await rig.durable()
  assert.ok(rig.disk.get(acctPath)?.equals(bytes))
})

test('whole lines of an older time, which a power cut has left behind the new ones, are cut off', async () => {
  const rig = new AccountingRig()
  await rig.open()
  for (const position of [1, 2]) rig.accept(position)
  rig.settle(1)
  await rig.durable()
  const stale = rig.disk.get(acctPath) as Buffer
  rig.accept(3)
  await rig.durable()
  rig.kill()
  const bytes = rig.disk.get(acctPath) as Buffer
  rig.disk.remove(`${directory}/acct.state`)
  rig.disk.put(acctPath, Buffer.concat([bytes, stale]))
  await rig.open()
  assert.ok(rig.disk.get(acctPath)?.equals(bytes))
  assert.deepEqual(
    rig.log.marks,
    new Map([
      ['intake-0', 3],
      ['outcome-0', 1],
    ]),
  )
})

test('a write that takes 30 seconds stops nobody, is told once, and everything comes after it', async () => {
  const rig = new AccountingRig()
  await rig.open()
  let release = (): void => undefined
  const stuck = new Promise<void>((resolve) => (release = resolve))
  rig.disk.before = ({ what }) => (what === 'write' ? stuck : undefined)
  rig.accept(1)
  for (let position = 2; position <= 31; position++) {
    await rig.pass(secondMs)
    rig.accept(position)
  }
  assert.deepEqual(rig.problems, [
    '/acct/acct.json: the disk does not answer. Mail goes on, and so does this when the disk does.',
  ])
  assert.deepEqual(rig.log.durable, new Map())
  release()
  await rig.durable()
  assert.equal(rig.lines().length, 31)
  assert.deepEqual(rig.problems.slice(1), ['/acct/acct.json is written again.'])
})

test('a full disk is tried again until there is room, and short writes are gone on with', async () => {
  const rig = new AccountingRig()
  await rig.open()
  rig.disk.taken = (bytes) => Math.ceil(bytes / 3)
  let isFull = true
  rig.disk.before = ({ what, path }) => {
    if (isFull && what === 'write' && path === acctPath && rig.disk.calls.length % 3 === 0) throw errorOf('ENOSPC')
  }
  for (let position = 1; position <= 100; position++) {
    rig.accept(position)
    await rig.pass(500)
  }
  isFull = false
  await rig.durable()
  assert.deepEqual(
    rig.lines(),
    Array.from({ length: 100 }, (_, i) => `accepted ${i + 1}/0`),
  )
  assert.equal(rig.problems.length % 2, 0)
  assert.match(rig.problems[0] ?? '', /cannot be written: ENOSPC: simulated\. It is tried again; nothing is lost/)
  assert.match(rig.problems.at(-1) ?? '', /is written again/)
})

test('after a failed fdatasync everything since the last good one is written again, the same bytes to the same place', async () => {
  const rig = new AccountingRig()
  await rig.open()
  rig.accept(1)
  await rig.durable()
  let failures = 2
  rig.disk.before = ({ what, path }) => {
    if (what === 'sync' && path === acctPath && failures-- > 0) throw errorOf('EIO')
  }
  rig.accept(2)
  await rig.until(() => failures <= 0)
  assert.deepEqual(rig.log.durable, new Map([['intake-0', 1]]))
  await rig.durable()
  assert.deepEqual(rig.lines(), ['accepted 1/0', 'accepted 2/0'])
  assert.equal(rig.disk.calls.filter(({ what, path }) => what === 'write' && path === acctPath).length, 4)
})

test('renamed while writing failed: what goes to the next file is taken out of it', async () => {
  const rig = new AccountingRig()
  await rig.open()
  rig.accept(1)
  await rig.durable()
  let fails = true
  rig.disk.before = ({ what, path }) => {
    if (fails && what === 'sync' && path === acctPath) throw errorOf('EIO')
  }
  rig.accept(2)
  await rig.until(() => rig.problems.length === 1)
  rig.disk.rename(acctPath, `${directory}/acct.json.1`)
  fails = false
  await rig.durable()
  assert.deepEqual(rig.lines(`${directory}/acct.json.1`), ['accepted 1/0'])
  assert.deepEqual(rig.lines(), ['accepted 2/0'])
})

test('renamed while there was nothing to write, the next line is in a new file', async () => {
  const rig = new AccountingRig()
  await rig.open()
  rig.accept(1)
  await rig.durable()
  rig.disk.rename(acctPath, `${directory}/acct.json.1`)
  await rig.pass(5_000)
  rig.accept(2)
  await rig.durable()
  assert.deepEqual(rig.lines(`${directory}/acct.json.1`), ['accepted 1/0'])
  assert.deepEqual(rig.lines(), ['accepted 2/0'])
})

test('renamed by somebody else, it goes on in a new file; removed, what was written since the last save is written again', async () => {
  const rig = new AccountingRig()
  await rig.open()
  rig.accept(1)
  await rig.durable()
  rig.accept(2)
  await rig.pass(150)
  rig.disk.rename(acctPath, `${directory}/acct.json.1`)
  rig.accept(3)
  await rig.durable()
  rig.accept(4)
  await rig.durable()
  assert.deepEqual(rig.lines(`${directory}/acct.json.1`), ['accepted 1/0', 'accepted 2/0', 'accepted 3/0'])
  assert.deepEqual(rig.lines(), ['accepted 4/0'])

  rig.accept(5)
  await rig.pass(150)
  rig.disk.remove(acctPath)
  rig.accept(6)
  await rig.durable()
  assert.deepEqual(rig.lines(), ['accepted 5/0', 'accepted 6/0'])

  // As logrotate's "create" does, and then somebody with something else.
  rig.disk.put(acctPath, Buffer.alloc(0))
  rig.accept(7)
  await rig.durable()
  rig.accept(8)
  await rig.durable()
  assert.deepEqual(rig.lines(), ['accepted 7/0', 'accepted 8/0'])
  rig.disk.put(acctPath, Buffer.from('something else'))
  rig.accept(9)
  await rig.durable()
  rig.accept(10)
  await rig.durable()
  assert.ok(rig.lines().includes('accepted 10/0'))
  assert.deepEqual(
    rig.names.map((name) => name.replace(/-\d+T\d+Z/, '')),
    ['acct-1.json', 'acct.json', 'acct.json.1', 'acct.state'],
  )
})

test('the state is lost: marks come from the file, and from those that were rotated, packed or not', async () => {
  for (const compress of [false, true]) {
    const rig = new AccountingRig({ rotateBytes: 1, compress })
    await rig.open()
    rig.accept(1)
    rig.settle(1)
    await rig.durable()
    await rig.until(() => rig.names.some((name) => name.endsWith(compress ? '.json.gz' : 'Z-1.json')))
    rig.settle(2)
    await rig.durable()
    await rig.close()
    rig.disk.put(`${directory}/acct.state`, Buffer.from('1234 {}\n'))
    await rig.open()
    assert.deepEqual(
      rig.log.marks,
      new Map([
        ['intake-0', 1],
        ['outcome-0', 2],
      ]),
    )
    assert.ok(rig.problems.some((text) => /acct\.state is damaged/.test(text)))
  }
})

test('rotated by size and at midnight; compressed, and a process that ended on the way is cleaned up after', async () => {
  const rig = new AccountingRig({ rotateBytes: 1_500, compress: true })
  await rig.open()
  for (let position = 1; position <= 10; position++) {
    rig.accept(position)
    await rig.durable()
  }
  await rig.until(() => rig.names.filter((name) => name.endsWith('.gz')).length === 2)
  const [first = ''] = rig.names
  const packed = rig.disk.get(`${directory}/${first}`) as Buffer
  assert.equal(textLines(gunzipSync(packed)).length, 5)
  assert.deepEqual(rig.lines(), [])

  rig.accept(11)
  await rig.durable()
  rig.clock.advance(dayMs)
  await rig.until(() => rig.names.filter((name) => name.endsWith('.gz')).length === 3, 10_000)
  await rig.close()

  // It ended when the packed file had its name and the plain one was still there, and while another was being packed.
  rig.disk.put(`${directory}/${first.slice(0, -3)}`, gunzipSync(packed))
  rig.disk.put(`${directory}/acct-20260701T130000Z-1.json`, gunzipSync(packed))
  rig.disk.put(`${directory}/acct-20260701T130000Z-1.json.gz.part`, Buffer.from('half'))
  await rig.open()
  await rig.until(() => rig.names.every((name) => !name.startsWith('acct-') || name.endsWith('.json.gz')))
  assert.equal(rig.names.filter((name) => name.endsWith('.gz')).length, 4)
})

test('the logs are another spool’s: everything is taken, into a new file', async () => {
  const rig = new AccountingRig()
  await rig.open()
  rig.accept(1_000)
  await rig.durable()
  await rig.close()
  await rig.open()
  rig.log.startOver()
  rig.accept(1)
  await rig.durable()
  assert.deepEqual(rig.lines(), ['accepted 1/0'])
  await rig.close()
  await rig.open()
  assert.deepEqual(rig.log.marks, new Map([['intake-0', 1]]))
})

test('closing on a disk that hangs ends with its deadline, on one that fails at once', async () => {
  const rig = new AccountingRig()
  await rig.open()
  rig.disk.before = ({ what }) => (what === 'write' ? new Promise<void>(() => undefined) : undefined)
  rig.accept(1)
  await rig.pass(200)
  let isClosed = false
  void rig.log.close(5 * secondMs).then(() => (isClosed = true))
  await rig.pass(4 * secondMs)
  assert.equal(isClosed, false)
  await rig.pass(2 * secondMs)
  assert.equal(isClosed, true)

  const failing = new AccountingRig()
  await failing.open()
  failing.disk.before = ({ what }) => {
    if (what === 'write') throw errorOf('EROFS')
  }
  failing.accept(1)
  await failing.close()
  await turn()
  assert.match(failing.problems[0] ?? '', /EROFS/)
})

test('a disk that cannot be opened is tried until it can', async () => {
  const rig = new AccountingRig()
  let isGone = true
  rig.disk.before = ({ what }) => {
    if (isGone && what === 'mkdir') throw errorOf('ENOENT')
  }
  const opening = rig.open()
  await turn()
  await turn()
  isGone = false
  await opening
  assert.deepEqual(
    rig.problems.map((text) => /cannot be opened: ENOENT|is open now/.exec(text)?.[0]),
    ['cannot be opened: ENOENT', 'is open now'],
  )
  rig.accept(1)
  await rig.durable()
  rig.clock.advance(hourMs)
  assert.ok((rig.disk.get(acctPath)?.length ?? 0) < MiB)
})
