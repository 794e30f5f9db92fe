/** Bounds of captured mail at their edge: one below, at it, one above. What is dropped, and when, is in capture.test.ts. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readMessage } from './capture/read-message.ts'
import { CaptureStore } from './capture/store.ts'
import * as limits from './limits.ts'
import type { ReceivedMessage } from './sandbox.ts'

const around = (value: number): [number, number, number] => [value - 1, value, value + 1]

const received: ReceivedMessage = {
  number: 1,
  connection: 1,
  messageOnConnection: 1,
  envelope: { from: 'a@b', to: ['c@d'], mailParameters: [], rcptParameters: [[]] },
  helo: 'client',
  peer: { address: '127.0.0.1', port: 1 },
  tls: null,
  login: null,
  times: { connectedMs: 1, mailMs: 1, contentMs: 1, receivedMs: 1 },
  sizeBytes: 8,
  content: Buffer.from('a: b\r\n\r\n'),
  testId: null,
  sha256: null,
  replyLost: false,
}

test('limit sandbox.page: a thousand are listed at once, never more', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-limits-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const store = new CaptureStore(directory, { messagesMax: 10_000, bytesMax: 1 << 30 })
  t.after(() => store.close())
  const max = limits.pageMessagesMax.value
  for (let i = 0; i < max + 2; i++) store.add(received)
  store.flush()
  for (const limit of around(max)) assert.equal(store.list({ limit }).length, Math.min(limit, max))
})

test('limit sandbox.shown-header: what stands in the first 256 KiB is shown, what is behind them is not', () => {
  const max = limits.shownHeaderBytesMax.value
  for (const bytes of around(max)) {
    const last = '\r\nLast: seen'
    const header = `X: ${'x'.repeat(bytes - 3 - last.length)}${last}`
    assert.equal(header.length, bytes)
    const field = readMessage(Buffer.from(`${header}\r\n\r\nbody`)).headers.at(-1)
    assert.equal(field?.value, bytes > max ? 'see' : 'seen')
  }
})

test('limit sandbox.shown-parts: of a message and its parts so many are looked at, one more is not', () => {
  const max = limits.shownPartsMax.value
  for (const parts of around(max)) {
    // The message itself is one of them, the text is another.
    const raw = `Content-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\n\r\nx\r\n'.repeat(parts - 1)}--b--\r\n`
    assert.equal(readMessage(Buffer.from(raw)).attachments.length + 2, Math.min(parts, max))
  }
})

test('limit sandbox.shown-depth: twenty levels are opened, the next one is an attachment', () => {
  const max = limits.shownDepthMax.value
  for (const depth of around(max)) {
    let raw = 'Content-Type: text/plain\r\n\r\nat the bottom\r\n'
    for (let level = 0; level < depth; level++)
      raw = `Content-Type: multipart/mixed; boundary=b${level}e\r\n\r\n--b${level}e\r\n${raw}\r\n--b${level}e--\r\n`
    const { text, attachments } = readMessage(Buffer.from(raw))
    assert.equal(text === null, depth > max)
    assert.equal(attachments.length, depth > max ? 1 : 0)
  }
})
