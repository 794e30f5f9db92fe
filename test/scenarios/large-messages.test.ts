import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Posthaste } from '../support/posthaste.ts'
import { folder, letter, managementToken, receiver, send, settled, startRelay } from '../support/scenario.ts'

const MiB = 2 ** 20
/** Most of it is what Node keeps until it collects its garbage: ten such messages in a row take no more. */
const growthBytesMax = 150 * MiB

async function residentBytes(program: Posthaste, directory: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${program.managementPort}/metrics`, {
    headers: { authorization: `Bearer ${managementToken(directory)}` },
  })
  return Number(/^posthaste_resident_memory_bytes (\S+)$/m.exec(await answer.text())?.[1])
}

/** The largest that is seen until `done`. */
async function peakBytes(program: Posthaste, directory: string, done: Promise<unknown>): Promise<number> {
  const over = done.then(
    () => true,
    () => true,
  )
  let peak = 0
  while (!(await Promise.race([over, sleep(20, false)]))) peak = Math.max(peak, await residentBytes(program, directory))
  return peak
}

/** Every line differs, so that blocks that are lost, doubled or in another order show. */
function contentOf(bytes: number): Buffer {
  const content = Buffer.alloc(bytes, 'x')
  let at = content.write(letter('large'), 'latin1')
  for (let line = 0; at + 100 <= bytes; line++)
    at += content.write(`${String(line).padStart(98, '-')}\r\n`, at, 'latin1')
  content.write('\r\n', bytes - 2, 'latin1')
  return content
}

test('5 MB and 50 MB arrive byte for byte, and do not sit in memory', async (t) => {
  const directory = folder(t)
  const digests: string[] = []
  const sizes = [5_000_000, 50_000_000]
  const sink = await receiver(t, {}, { rememberMax: 0, onMessage: ({ content }) => void digests.push(tail(content)) })
  const tail = (content: Buffer | null): string =>
    content === null ? '' : hash('sha256', content.subarray(content.indexOf('From: me@')), 'hex')
  // Windows are memory that fills up once; here they are small, so that what is seen is the message's.
  const config = 'spool: { segment_size: 4MiB, window_size: 4MiB }\n'
  const program = await startRelay(t, { directory, receiver: sink, config })
  const before = await residentBytes(program, directory)

  for (const bytes of sizes) {
    const content = contentOf(bytes)
    const whole = send(program, { to: ['ann@example.net'], content }).then((id) => settled(program, id, directory))
    const peak = await peakBytes(program, directory, whole)

    const [ann] = await whole
    assert.equal(ann?.state, 'delivered', JSON.stringify(ann))
    assert.equal(digests.at(-1), hash('sha256', content, 'hex'))
    assert.ok(peak - before < growthBytesMax, `${bytes} bytes: memory grew by ${Math.round((peak - before) / MiB)} MiB`)
  }
})
