/** What an outsider would send who has read our source. */
import type { Random } from '../../src/kernel/random.ts'
import type { SubmissionHead } from '../../src/model/submission.ts'
import {
  batchHeaderBytes,
  blockBytes,
  recordHeaderBytes,
  recordTypes,
  sealRecord,
  writeBatchHeader,
  writeRecordHeader,
  zlibChecksum,
} from '../../src/spool/layout.ts'
import { submissionBytes, writeSubmission } from '../../src/spool/records.ts'
import type { Channel } from '../../src/spool/spool.ts'
import { headFor } from '../support/spool-rig.ts'

/**
 * A hostile mail: whole batches, as an outsider who has read our source would write them, at every place where a block of the file may begin. They
 * claim that everything was committed and carry a submission that nobody sent. Only the salt is unknown to the outsider.
 */
export function forgedBatches(channel: Channel, head: SubmissionHead, random: Random): Buffer {
  const forged = headFor(['victim@example.net'], { returnPath: 'forged@evil.example' })
  const payloadBytes = submissionBytes(forged, 0, 0)
  const batch = Buffer.alloc(blockBytes)
  const at = batchHeaderBytes
  writeRecordHeader(batch, at, recordTypes.submission, 1_000_000, payloadBytes)
  const facts = {
    id: '018bcfe5-0000-7000-8000-000000000000',
    acceptedAtMs: 1,
    contentBytes: 0,
    chunks: [],
    inlineBytes: 0,
  }
  writeSubmission(batch, at + recordHeaderBytes, forged, facts)
  sealRecord(batch, at, payloadBytes, 0, zlibChecksum)
  const position = channel.closedTo
  writeBatchHeader(
    batch,
    0,
    {
      segment: Math.floor(position / channel.segmentBytes),
      batch: 1_000_000,
      committedThrough: position + channel.segmentBytes,
      payloadBytes: recordHeaderBytes + payloadBytes,
      records: 1,
      recordsCrc: zlibChecksum(batch.subarray(at, at + recordHeaderBytes), 0),
      spanBytes: blockBytes,
    },
    0,
    zlibChecksum,
  )
  // Where the content begins when this is the first record of a batch: from there to the next block.
  const before = batchHeaderBytes + recordHeaderBytes + submissionBytes(head, 0, 0)
  const blocks = 1 + (random.uint32() % 2)
  return Buffer.concat([
    Buffer.alloc(blockBytes - (before % blockBytes), 0x20),
    ...Array.from({ length: blocks }, () => batch),
  ])
}
