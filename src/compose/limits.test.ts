/** Bounds of making a message ready at their edge: one below, at it, one above. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BufferPool } from '../kernel/buffer-pool.ts'
import type { Signer } from '../ports/signer.ts'
import { prepare } from './compose.ts'
import { blockBytes, pooledBytesMax, signedHeaderBytesMax } from './limits.ts'
import { pooledBuffers } from './pool.ts'

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]

interface Looked {
  /** Sizes of the blocks that were read. */
  readonly reads: number[]
  signed: boolean
}

/** Prepares the content as one that is too large to hold, and sends it. */
async function send(content: Buffer): Promise<Looked> {
  const looked: Looked = { reads: [], signed: false }
  const signer: Signer = { forDomain: () => ((looked.signed = true), null) }
  const prepared = await prepare(
    {
      id: '01890a5d-ac96-774b-bcce-b302099a8057',
      tenant: 'acme',
      returnPath: 'bounces@example.com',
      recipients: ['ben@example.net'],
      eightBit: false,
      smtpUtf8: false,
      dsn: null,
      dotLines: false,
      addedHeaders: 'Received: by us\r\n',
      fromDomain: 'example.com',
      acceptedAtMs: 0,
      cuts: [],
      contentBytes: content.length,
      content: {
        read: async (position, bytesMax) => {
          const block = content.subarray(position, position + bytesMax)
          looked.reads.push(block.length)
          return block
        },
      },
    },
    signer,
  )
  while ((await prepared.read()) !== null);
  return looked
}

test('limit compose.block: a body of 256 KiB is read in one block, one octet more takes another', async () => {
  const header = 'From: ann@example.com\r\n\r\n'
  for (const bytes of around(blockBytes.value)) {
    // The header is read first; what is sent as body begins with the empty line.
    const body = `\r\n${'x'.repeat(bytes - 4)}\r\n`
    const [first, ...blocks] = (await send(Buffer.from(header.slice(0, -2) + body))).reads
    assert.equal(first, Math.min(header.length - 2 + bytes, blockBytes.value))
    assert.deepEqual(blocks, bytes > blockBytes.value ? [blockBytes.value, 1] : [bytes])
  }
})

test('limit compose.signed-header: a header whose end is seen within 1 MiB is signed, one octet more is not', async () => {
  for (const bytes of around(signedHeaderBytesMax.value)) {
    const start = 'From: ann@example.com\r\nX: '
    // With the empty line, by which its end is seen.
    const header = `${start}${'y'.repeat(bytes - start.length - 4)}\r\n\r\n`
    assert.equal(header.length, bytes)
    assert.equal((await send(Buffer.from(`${header}body\r\n`))).signed, bytes <= signedHeaderBytesMax.value)
  }
})

test('limit compose.pool: of every size so many buffers are kept, the next one is given back', () => {
  for (const { bytes, keptMax } of pooledBuffers) {
    const pool = new BufferPool(pooledBuffers)
    const given = Array.from({ length: keptMax + 1 }, () => pool.take(bytes))
    for (const buffer of given) pool.give(buffer)
    const taken = new Set(Array.from({ length: keptMax + 1 }, () => pool.take(bytes)))
    assert.equal(given.filter((buffer) => taken.has(buffer)).length, keptMax)
  }
  assert.equal(pooledBytesMax.value, (1_000 * 4 + 1_000 * 16 + 100 * 128) * 1024)
})
