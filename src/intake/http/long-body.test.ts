/** Bodies of megabytes: encoded in slices between which others have their turn, and nothing stays behind when one breaks off. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import PostalMime from 'postal-mime'
import { condition } from '../../../test/support/condition.ts'
import { goodEmail, type HttpRig, keys, startHttpRig } from '../../../test/support/http-rig.ts'
import { KiB, MiB } from '../../kernel/units.ts'
import { readBodies } from './written-email.ts'

const bodyBytesMax = 8 * MiB
const text = 'é=12345 \n'.repeat(100_000)
const email = { ...goodEmail, text, html: `<p>${text}` }

const nothingIsOpen = (rig: HttpRig): boolean => rig.spool.open === 0 && rig.intake.memoryBytes === 0

test('a long text and long HTML arrive as they were given', async (t) => {
  const rig = await startHttpRig(t, { bodyBytesMax })
  const answer = await rig.post(email)
  assert.equal(answer.status, 202, answer.text)
  const [message] = rig.spool.committed
  const wire = message?.content.toString('latin1') ?? ''
  assert.ok(wire.split('\r\n').every((line) => line.length <= 76 && /^[\t -~]*$/.test(line)))
  const read = await PostalMime.parse(message?.content ?? '')
  // The reader ends the last line itself. No difference of two megabytes is to be shown.
  assert.ok(read.text?.trimEnd() === email.text.trimEnd())
  assert.ok(read.html?.trimEnd() === email.html.trimEnd())
  assert.ok(rig.spool.appendBytesPeak <= 64 * KiB)
  assert.ok(nothingIsOpen(rig))
})

test('others have their turn for every mebibyte of a long text that is looked over', async () => {
  let turns = 0
  let next = setImmediate(count)
  function count(): void {
    turns++
    next = setImmediate(count)
  }
  await readBodies({ ...goodEmail, text: 'é'.repeat(2.5 * MiB) })
  clearImmediate(next)
  assert.ok(turns >= 5, `${turns}`)
})

/** The spool has asked for a pause in the middle of the content. */
async function paused(rig: HttpRig): Promise<void> {
  await condition(() => rig.spool.contentBytesPeak > 0)
  assert.equal(rig.spool.open, 1)
}

test('a client that goes away in the middle of a long text leaves one message, and nothing else', async (t) => {
  const rig = await startHttpRig(t, { bodyBytesMax })
  rig.spool.full = true
  const socket = await rig.connect()
  const body = JSON.stringify(email)
  socket.write(
    `POST /api/v1/emails HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${keys.acme}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`,
  )
  socket.write(body)
  await paused(rig)
  socket.destroy()
  await condition(() => rig.intake.connections === 0)
  rig.spool.drain()
  await condition(() => nothingIsOpen(rig))
  await condition(() => rig.spool.committed.length === 1)
})

test('a key that is revoked in the middle of a long text: it is forgotten', async (t) => {
  const rig = await startHttpRig(t, { bodyBytesMax })
  rig.spool.full = true
  const posting = rig.post(email)
  await paused(rig)
  rig.clients.revoke(keys.acme)
  rig.spool.drain()
  assert.equal((await posting).status, 401)
  assert.deepEqual([rig.spool.aborted, rig.spool.committed.length], [1, 0])
  assert.ok(nothingIsOpen(rig))
})
