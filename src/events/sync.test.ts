/** What is put on disk by somebody else, while records come in and files come and go. */
import assert from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { headOf, StoreRig } from '../../test/support/store-rig.ts'
import { PosthasteError } from '../kernel/errors.ts'
import { MiB } from '../kernel/units.ts'
import { noFacts } from '../model/submission.ts'
import { walBytesMax } from './limits.ts'
import { type DiskWork, diskWorks, type StoreDisk } from './store-disk.ts'

/** Does one work after the other, each when it is told to. */
class HeldDisk implements StoreDisk {
  readonly orders: string[] = []
  readonly #held: (() => void)[] = []
  failure: Error | null = null

  sync(path: string): Promise<void> {
    return this.#order('sync', path)
  }

  checkpoint(path: string): Promise<void> {
    return this.#order('checkpoint', path)
  }

  async next(): Promise<void> {
    this.#held.shift()?.()
    await setImmediate()
  }

  finish(): void {
    while (this.#held.length > 0) this.#held.shift()?.()
  }

  #order(work: DiskWork, path: string): Promise<void> {
    this.orders.push(`${work} ${basename(path)}`)
    return new Promise((settle, fail) =>
      this.#held.push(() => {
        if (this.failure !== null) return fail(this.failure)
        diskWorks[work](path)
        settle()
      }),
    )
  }
}

const positions = new Map([['intake-0', 4096]])
const day = '2026-07-01.sqlite'

test('positions are written when the day files are on disk, and what went in meanwhile is synced by the next', async (t) => {
  const disk = new HeldDisk()
  const rig = new StoreRig(t, { disk })
  rig.accept(64)
  const synced = rig.table.syncElsewhere(positions)
  assert.deepEqual(disk.orders, [`sync ${day}`])
  const id = rig.accept(128)
  rig.table.commit()
  rig.crash()
  assert.deepEqual([...rig.table.positions], [], 'the rows may not be there')
  assert.equal(await synced, false, 'the table of before is closed')

  rig.accept(192)
  const again = rig.table.syncElsewhere(positions)
  await disk.next()
  assert.deepEqual(disk.orders.slice(-2), [`sync ${day}`, 'sync catalogue.sqlite'])
  rig.accept(256)
  rig.table.commit()
  await disk.next()
  assert.equal(await again, true)
  void rig.table.syncElsewhere(positions)
  assert.equal(disk.orders.at(-1), `sync ${day}`)
  rig.crash()
  assert.deepEqual([...rig.table.positions], [...positions])
  assert.notEqual(rig.find('acme', id), null)
})

test('nothing is synced that was not written to', async (t) => {
  const disk = new HeldDisk()
  const rig = new StoreRig(t, { disk })
  rig.accept(64)
  for (let round = 0; round < 2; round++) {
    const synced = rig.table.syncElsewhere(positions)
    await disk.next()
    await disk.next()
    assert.equal(await synced, true)
  }
  assert.deepEqual(disk.orders, [`sync ${day}`, 'sync catalogue.sqlite', 'sync catalogue.sqlite'])
})

test('a day that is dropped meanwhile is not made again', async (t) => {
  const disk = new HeldDisk()
  const rig = new StoreRig(t, { disk, retentionDays: 1 })
  rig.accept(64)
  for (let i = 0; i < 3; i++) rig.nextDay()
  rig.accept(128)
  const synced = rig.table.syncElsewhere(positions)
  assert.deepEqual(rig.table.prune(), ['2026-07-01'])
  for (let i = 0; i < 3; i++) await disk.next()
  assert.equal(await synced, true)
  assert.deepEqual(
    readdirSync(rig.directory).filter((name) => name.startsWith(day)),
    [],
  )
})

test('a sync that was under way at the end writes no older positions over those of the last one', async (t) => {
  const disk = new HeldDisk()
  const rig = new StoreRig(t, { disk })
  rig.accept(64)
  const synced = rig.table.syncElsewhere(positions)
  rig.accept(128)
  disk.finish()
  const last = new Map([['intake-0', 8192]])
  rig.table.sync(last)
  await setImmediate()
  disk.finish()
  assert.equal(await synced, false)
  rig.crash()
  assert.deepEqual([...rig.table.positions], [...last])
})

test('a failure of the disk is one of the table, and no positions are written', async (t) => {
  const disk = new HeldDisk()
  const rig = new StoreRig(t, { disk })
  rig.accept(64)
  const synced = rig.table.syncElsewhere(positions)
  disk.failure = new PosthasteError('store_failed', 'the disk is gone', 'Get another one.', {})
  const rejected = assert.rejects(synced, disk.failure)
  await disk.next()
  await rejected
  assert.throws(() => rig.table.commit(), disk.failure)
  disk.failure = null
  rig.reopen()
  assert.deepEqual([...rig.table.positions], [])
})

test('a day that is found damaged meanwhile is set aside', async (t) => {
  const disk = new HeldDisk()
  const rig = new StoreRig(t, { disk })
  rig.accept(64)
  const synced = rig.table.syncElsewhere(positions)
  disk.failure = new PosthasteError('store_damaged', 'it is damaged', 'Start again.', {})
  const rejected = assert.rejects(synced, disk.failure)
  await disk.next()
  await rejected
  assert.equal(rig.problems.length, 1)
  rig.reopen()
  assert.deepEqual(readdirSync(rig.directory).filter((name) => name.endsWith('damaged-1')).length > 0, true)
})

test('much that was written ahead is moved into its file, at the latest when nobody reads it any more', async (t) => {
  const disk = new HeldDisk()
  const rig = new StoreRig(t, { disk })
  const path = join(rig.directory, day)
  let number = 64
  const grow = (bytes: number): void => {
    for (const subject = 'x'.repeat(20_000); bytes > 0; bytes -= subject.length, number += 64)
      rig.table.submission(number, headOf(number, rig.clock.nowMs()), { ...noFacts, subject })
  }
  const all = async (): Promise<number> => {
    const synced = rig.table.syncElsewhere(positions)
    for (let i = 0; i < 3; i++) {
      // It goes on, and a transaction is open.
      grow(1)
      await disk.next()
    }
    assert.equal(await synced, true)
    return statSync(`${path}-wal`).size
  }
  grow(walBytesMax.value / 4)
  assert.equal(await all(), 0)
  assert.equal(disk.orders.at(-1), `checkpoint ${day}`)
  const reader = new DatabaseSync(path, { readOnly: true })
  t.after(() => reader.isOpen && reader.close())
  grow(MiB)
  rig.table.commit()
  reader.exec('BEGIN; SELECT count(*) FROM messages')
  grow(walBytesMax.value / 4)
  assert.ok((await all()) > walBytesMax.value / 4, 'somebody reads it')
  reader.close()
  for (let i = 0; i < 30; i++) {
    grow(MiB)
    assert.ok((await all()) < walBytesMax.value / 2)
  }
})
