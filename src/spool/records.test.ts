/** Records as bytes and back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idempotencyKeyCharactersMax } from '../model/limits.ts'
import { noFacts } from '../model/submission.ts'
import { headFor } from '../../test/support/spool-rig.ts'
import { readFacts, readSubmission, submissionBytes, writeSubmission } from './records.ts'

const id = '0197f3a2-7c1e-7000-8000-000000000001'

test('a key of idempotency of any length that may be asked for comes back, and what stands behind it', () => {
  const max = idempotencyKeyCharactersMax.value
  for (const length of [0, 1, 255, max - 1, max]) {
    const facts = {
      ...noFacts,
      idempotencyKey: 'k'.repeat(length),
      requestSha256: 'f'.repeat(64),
      metadata: '{"a":"b"}',
    }
    const dsn = { returns: 'HDRS', envelopeId: 'e', recipients: [] } as const
    const head = headFor(['ann@example.net'], { facts, ...(length === max && { dsn }) })
    const bytes = Buffer.alloc(submissionBytes(head, 0, 0))
    const end = writeSubmission(bytes, 0, head, { id, acceptedAtMs: 1, contentBytes: 0, chunks: [], inlineBytes: 0 })
    assert.equal(end, bytes.length)
    const stored = readSubmission(bytes, 0)
    assert.deepEqual(readFacts(bytes, stored), facts)
    assert.deepEqual([stored.id, stored.dsn ?? null], [id, length === max ? dsn : null])
  }
})
