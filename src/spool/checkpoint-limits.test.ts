/** Bounds of a checkpoint's ranges at their edge: one below, at it, one above. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimulatedDisk } from '../../test/support/simulated-disk.ts'
import { VirtualClock } from '../kernel/clock.ts'
import { MiB } from '../kernel/units.ts'
import { queueRowBytes } from '../model/queue.ts'
import type { QueueSource } from '../ports/queue.ts'
import {
  type Checkpoint,
  eachRows,
  jsonParts,
  rangeHeaderBytes,
  rangeKinds,
  readCheckpoint,
  sealJson,
} from './checkpoint.ts'
import { CheckpointPort, makeCheckpointMemory } from './checkpoint-files.ts'
import { Checkpointer } from './checkpointer.ts'
import { partBytesMax, rangeBytesMax } from './limits.ts'
import { CheckpointFiles, makeSpoolDirectories } from './spool.ts'

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]

interface Written {
  readonly disk: SimulatedDisk
  readonly checkpoint: Checkpoint
  readonly ranges: number
}

/** A checkpoint of such a queue. */
function write(source: Partial<QueueSource>): Written {
  const disk = new SimulatedDisk()
  makeSpoolDirectories(disk, 1)
  const memory = makeCheckpointMemory()
  const files = new CheckpointFiles({ disk, memory, onDone: () => {} })
  const checkpointer = new Checkpointer({
    port: new CheckpointPort(memory, new Int32Array(2)),
    logs: { positions: () => [], grownBytes: () => 0, settled: () => true },
    source: {
      writeRows: noRows,
      flows: () => [],
      learned: () => [],
      slotsUsed: 0,
      slotsIn: () => [],
      relocate: () => false,
      ...source,
    },
    clock: new VirtualClock(),
    afterBytes: MiB,
    nextNumber: 1,
    lastBytes: 0,
    onWritten: () => {},
    onFailed: () => assert.fail('a checkpoint failed'),
  })
  checkpointer.request()
  let ranges = 0
  while (!checkpointer.idle) {
    checkpointer.step()
    if (files.step()) ranges += 1
  }
  const checkpoint = readCheckpoint(disk, 1) ?? assert.fail('the checkpoint is not whole')
  return { disk, checkpoint, ranges }
}

const noRows = (): { next: number; bytes: number } => ({ next: -1, bytes: 0 })

test('limit spool.checkpoint-range: as many recipients as fit a MiB share a range, the next one begins another', () => {
  const fitting = Math.floor(rangeBytesMax.value / queueRowBytes)
  assert.equal(fitting, 18_724)
  for (const rows of around(fitting)) {
    const { disk, checkpoint } = write({
      writeRows: (from, into) => {
        const count = Math.min(rows - from, Math.floor(into.length / queueRowBytes))
        into.fill(0, 0, count * queueRowBytes)
        return { next: from + count === rows ? -1 : from + count, bytes: count * queueRowBytes }
      },
    })
    const blocks: number[] = []
    eachRows(disk, checkpoint, (block) => blocks.push(block.length / queueRowBytes))
    assert.deepEqual(blocks, rows > fitting ? [fitting, 1] : [rows])
    assert.equal(checkpoint.rows, rows)
  }
})

test('limit spool.checkpoint-range: JSON of a MiB is sealed, one octet more is a broken invariant and never cut', () => {
  const buffer = Buffer.alloc(rangeHeaderBytes + rangeBytesMax.value)
  for (const bytes of around(rangeBytesMax.value)) {
    const seal = (): number => sealJson(buffer, rangeKinds.flows, 0, 'x'.repeat(bytes), 1)
    if (bytes > rangeBytesMax.value) assert.throws(seal, { name: 'InvariantBroken' })
    else assert.equal(seal(), rangeHeaderBytes + bytes)
  }
})

test('limit spool.checkpoint-flows: entries below 512 KiB share a range, the one that reaches it is its last', () => {
  for (const bytes of around(partBytesMax.value)) {
    // Two quotes and a comma.
    const entries = ['x'.repeat(bytes - 3), 'one more']
    const parts = [...jsonParts(entries)]
    assert.equal(parts.length, bytes < partBytesMax.value ? 1 : 2)
    assert.deepEqual(
      parts.flatMap((part) => JSON.parse(part) as string[]),
      entries,
    )
  }
})

test('thousands of domains and of sites with twenty exchangers each come back from the ranges that they fill', () => {
  const flows = Array.from({ length: 20_000 }, (_, id) => ({
    id,
    domain: `${id}.пример.example`,
    tenant: `tenant-${id}`,
  }))
  const exchangers = Array.from({ length: 20 }, (_, i) => `mx${i}.mail.example`).join('+')
  const learned = Array.from({ length: 10_000 }, (_, i) => [`${i}.${exchangers}:25`, { window: 1, failures: 1 }])
  const { checkpoint, ranges } = write({ flows: () => flows, learned: () => learned })
  assert.deepEqual([...checkpoint.flows.values()], flows)
  assert.deepEqual(checkpoint.learned, learned)
  assert.ok(ranges >= 10, `${ranges} ranges`)
})
