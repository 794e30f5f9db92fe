import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  compareLedgers,
  readLedger,
  type ReceivedRecord,
  type SentRecord,
  startReceiver,
} from '../../sandbox/sandbox.ts'
import { runCli } from './cli.ts'

const directory = mkdtempSync(join(tmpdir(), 'posthaste-bench-'))
after(() => rmSync(directory, { recursive: true }))

class Running {
  out = ''
  err = ''
  readonly code: Promise<number>
  #listening: (port: number) => void = () => {}
  /** Of the sink, once it says so. */
  readonly port = new Promise<number>((resolve) => (this.#listening = resolve))

  constructor(...args: string[]) {
    const write = (chunk: string | Uint8Array): void => {
      this.err += String(chunk)
      const port = /listens on .*:(\d+)\n/.exec(this.err)?.[1]
      if (port !== undefined) this.#listening(Number(port))
    }
    this.code = runCli(['bench', ...args], {
      version: '0.0.0',
      env: {},
      cwd: directory,
      stdout: { write: (chunk) => void (this.out += String(chunk)) },
      stderr: { write },
      loadApp: () => Promise.reject(new Error('not started here')),
      loadLimits: () => Promise.reject(new Error('not asked for here')),
    })
  }
}

test('source and sink talk to each other, end by themselves, and their ledgers agree', async () => {
  const script = join(directory, 'world.yaml')
  writeFileSync(script, 'rules:\n  - for: user7@*\n    rcpt: { reply: 550 5.1.1 no such user }\n')
  const [sent, received] = [join(directory, 'sent'), join(directory, 'received')]
  const sink = new Running(
    'sink',
    '--port',
    '0',
    '--script',
    script,
    '--ledger',
    received,
    '--messages',
    '19',
    '--json',
  )
  const source = new Running(
    'source',
    '--to',
    `127.0.0.1:${await sink.port}`,
    '--messages',
    '20',
    '--bytes',
    '2KiB',
    '--ledger',
    sent,
  )
  assert.equal(await source.code, 1)
  assert.match(
    source.out,
    /^taken +19 messages, 38 KiB\nnot taken +1 refused, 0 without an answer, 0 not sent\nreplies +250: 19, 550: 1\n/,
  )
  assert.match(source.out, /\nlatency +median [\d.]+ ms, 99 % within [\d.]+ ms, longest [\d.]+ ms\n/)
  assert.equal(await sink.code, 0)
  const summary = JSON.parse(sink.out) as Record<string, number>
  assert.deepEqual([summary['messages'], summary['refused']], [19, 2])
  const comparison = compareLedgers(readLedger<SentRecord>(sent).records, readLedger<ReceivedRecord>(received).records)
  assert.deepEqual(comparison, { acked: 19, received: 19, lost: [], changed: [], duplicates: [], unknown: [] })
})

test('a run ends by time, and a server that is not there is exit code 69', async (t) => {
  const receiver = await startReceiver({}, { keep: 'nothing' })
  t.after(() => receiver.close())
  const target = `[127.0.0.1]:${receiver.port}`
  const timed = new Running('source', '--to', target, '--seconds', '0.5', '--rate', '50', '--no-pipelining', '--json')
  assert.equal(await timed.code, 0)
  assert.ok((JSON.parse(timed.out) as { acked: number }).acked >= 1)
  const sink = new Running('sink', '--port', '0', '--seconds', '0.05')
  assert.equal(await sink.code, 0)
  assert.match(sink.out, /^messages +0 for 0 recipients, 0 B\n/)

  await receiver.close()
  const alone = new Running('source', '--to', target, '--messages', '3')
  assert.equal(await alone.code, 69)
  assert.match(alone.out, /3 not sent\n[^]*trouble +connect ECONNREFUSED/)
})

test('wrong use is explained', async () => {
  const cases: [string[], number, RegExp][] = [
    [['source', '--to', '192.0.2.1:25', '--messages', '1'], 64, /not a loopback address[^]*Use 127\.0\.0\.1/],
    [['sink', '--port', '0', '--address', '0.0.0.0'], 64, /0\.0\.0\.0 is not a loopback address/],
    [['source', '--to', '127.0.0.1:1'], 64, /would never stop[^]*Say how many messages/],
    [['source', '--to', '127.0.0.1'], 64, /such as 127\.0\.0\.1:2525/],
    [['source', '--to', '127.0.0.1:1', '--messages', '0'], 64, /whole number, 1 or more/],
    [['source', '--to', '127.0.0.1:1', '--rate', '0', '--messages', '1'], 64, /number above 0/],
    [['source', '--to', '127.0.0.1:1', '--bytes', '10x', '--messages', '1'], 64, /is a size up to/],
    [['source', '--to', '127.0.0.1:1', '--bytes', '10', '--messages', '1'], 64, /Ask for at least 1024 bytes/],
    [['source', '--to', '127.0.0.1:1', '--login', 'u', '--messages', '1'], 64, /colon between/],
    [['sink', '--port', '0', '--script', join(directory, 'none.yaml')], 78, /ENOENT[^]*Name a file/],
    [['sink', '--port', '0', '--ledger', join(directory, 'none', 'ledger')], 73, /cannot open the ledger/],
  ]
  for (const [args, code, message] of cases) {
    const running = new Running(...args)
    assert.equal(await running.code, code, args.join(' '))
    assert.match(running.err, message)
  }
  const broken = join(directory, 'broken.yaml')
  writeFileSync(broken, 'rules:\n  - for: "*"\n    final: { reply: later }\n')
  const running = new Running('sink', '--port', '0', '--script', broken)
  assert.equal(await running.code, 78)
  assert.match(running.err, /broken\.yaml .*rules\[0\]\.final\.reply must be a reply such as "451 4\.3\.0 try later"/)
})
