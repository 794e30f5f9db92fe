import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openDisk } from '../../adapters/embedded/embedded.ts'
import type { Outcome } from '../../model/outcome.ts'
import { openRig, smallSpool, submit, type SpoolRig } from '../../../test/support/spool-rig.ts'
import { writeSegmentHeader } from '../../spool/layout.ts'
import { takeSpoolLock } from '../../spool/spool.ts'
import { runCli } from './cli.ts'

const directory = mkdtempSync(join(tmpdir(), 'posthaste-spool-cli-'))
const data = join(directory, 'data')
const nextAttemptAtMs = Date.UTC(2026, 10, 23)
const large = Buffer.alloc(200_000, 'Lorem ipsum\r\n')
const small = Buffer.from('Subject: small\r\n\r\nHi\r\n')
let rig: SpoolRig
const ids: string[] = []

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const chunks: { out: Buffer[]; err: Buffer[] } = { out: [], err: [] }
  const stream = (name: 'out' | 'err') => ({
    write: (chunk: string | Uint8Array) => void chunks[name].push(Buffer.from(chunk as string)),
  })
  const code = await runCli(['spool', ...args], {
    version: '9.9.9',
    env: {},
    cwd: directory,
    stdout: stream('out'),
    stderr: stream('err'),
    loadApp: () => Promise.reject(new Error('not started here')),
    loadLimits: () => Promise.reject(new Error('not asked for here')),
  })
  return { code, out: Buffer.concat(chunks.out).toString('latin1'), err: Buffer.concat(chunks.err).toString('latin1') }
}

before(() => {
  mkdirSync(data)
  rig = openRig({ disk: openDisk(data), config: { ...smallSpool, segmentBytes: 1 << 20, windowBytes: 1 << 20 } })
  const recipients = ['ann@x.example', 'bob@x.example', 'cy@y.example']
  for (const content of [large, small]) {
    ids.push(submit(rig, content, (failure) => assert.equal(failure, null), { recipients, piece: 50_000 }) as string)
    rig.settle()
  }
  const outcome = (kind: Outcome['kind']): Outcome => ({
    kind,
    scope: 'recipient',
    stage: 'rcpt',
    code: kind === 'delivered' ? 250 : 450,
    enhanced: kind === 'delivered' ? '2.0.0' : '4.2.1',
    text: 'says \u001b[31mred',
  })
  const [first, second] = rig.seen
  assert.ok(first && second)
  for (const [number, kinds] of [
    [first.number, ['delivered', 'deferred']],
    [second.number, ['delivered', 'bounced', 'delivered']],
  ] as const) {
    rig.spool.outcomes.append(number, {
      log: 0,
      place: 0,
      atMs: Date.UTC(2026, 10, 22),
      attempt: {
        startedAtMs: 1,
        host: 'mx',
        address: '192.0.2.1',
        source: '',
        tls: '',
        reusedConnection: false,
        connectedMs: 1,
        envelopeMs: 2,
        finishedMs: 3,
      },
      recipients: kinds.map((kind, recipient) => ({
        recipient,
        attempt: 1,
        outcome: outcome(kind),
        nextAttemptAtMs: kind === 'deferred' ? nextAttemptAtMs : 0,
        mayBeDuplicate: false,
      })),
    })
  }
  rig.settle()
})
after(() => rmSync(directory, { recursive: true }))

test('dump: a line for every message; --pending leaves out what has come to an end', async () => {
  const all = await run('dump', '--data', data)
  assert.equal(all.code, 0)
  const lines = all.out.trimEnd().split('\n')
  assert.equal(lines.length, 2)
  assert.match(
    lines[0] as string,
    /^\S+ {2}20\S+Z {2}<sender@acme\.example> to ann@x\.example delivered, bob@x\.example deferred, cy@y\.example queued {2}200000 B {2}[0-9a-f]{64}$/,
  )
  const pending = await run('dump', '--data', 'data', '--pending')
  assert.deepEqual(pending.out.trimEnd().split('\n'), [lines[0]])
})

test('dump --json: one object per line, with attempts, size and hash of the content', async () => {
  const { out } = await run('dump', '--data', data, '--json')
  const [first, second] = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  const attempt = { enhanced: '2.0.0', text: 'says \u001b[31mred', at: '2026-11-22T00:00:00.000Z' }
  assert.deepEqual(first, {
    id: ids[0],
    number: 64,
    accepted_at: first.accepted_at,
    tenant: 'acme',
    return_path: 'sender@acme.example',
    recipients: [
      {
        address: 'ann@x.example',
        state: 'delivered',
        attempts: [{ outcome: 'delivered', code: 250, ...attempt }],
        next_attempt_at: null,
      },
      {
        address: 'bob@x.example',
        state: 'deferred',
        attempts: [{ outcome: 'deferred', code: 450, ...attempt, enhanced: '4.2.1' }],
        next_attempt_at: '2026-11-23T00:00:00.000Z',
      },
      { address: 'cy@y.example', state: 'queued', attempts: [], next_attempt_at: null },
    ],
    content_bytes: large.length,
    sha256: createHash('sha256').update(large).digest('hex'),
    chunks: 2,
  })
  assert.deepEqual([second.chunks, second.recipients[1].state], [0, 'bounced'])
})

test('dump --raw: the bytes as they were accepted', async () => {
  assert.equal((await run('dump', '--data', data, '--raw', ids[0] as string)).out, large.toString('latin1'))
  const unknown = await run('dump', '--data', data, '--raw', '0190a1b2-0000-7000-8000-000000000000')
  assert.equal(unknown.code, 1)
  assert.match(unknown.err, /has no message 0190.*\n {2}`posthaste spool dump` lists them/)
})

test('stat: a row per log, and the same as JSON', async () => {
  const text = await run('stat', '--data', data)
  assert.match(text.out, /^LOG .*\nintake-0 +1 +1 MiB +1 +1 +20\S+Z\noutcome-0 .*\n.* are free on this disk\.\n$/)
  const { logs, free_bytes: freeBytes } = JSON.parse((await run('stat', '--data', data, '--json')).out)
  assert.deepEqual([logs[0].log, logs[0].segments, logs[0].first_segment, freeBytes > 0], ['intake-0', 1, 1, true])
})

test('fsck: clean, torn, and damaged with exit code 65; a spool is never changed', async () => {
  const clean = await run('fsck', '--data', data)
  assert.equal(clean.code, 0)
  assert.match(clean.out, /^Log intake-0: 1 segments, 4 whole records\n/)
  assert.match(clean.out, /2 messages, 2 recipients still to be delivered\.\nThe spool is clean\.\n$/)
  const path = join(data, 'spool/intake-0/00000001.seg')
  const segment = readFileSync(path)
  const end = segment.length - [...segment].reverse().findIndex((byte) => byte !== 0)

  overwrite(path, end - 1, Buffer.from([(segment[end - 1] as number) ^ 1]))
  const torn = await run('fsck', '--data', data)
  assert.equal(torn.code, 0)
  assert.match(torn.out, /torn tail, .*never acknowledged.*running engine/)
  overwrite(path, end - 1, segment.subarray(end - 1, end))

  overwrite(path, 5_000, Buffer.from('damage'))
  const damaged = await run('fsck', '--data', data)
  assert.equal(damaged.code, 65)
  assert.match(damaged.out, /damaged: .* at position \d+ were on disk once/)
  assert.match(damaged.out, new RegExp(`damaged: message ${ids[0]} has lost part of its content`))
  const json = await run('fsck', '--data', data, '--json')
  assert.deepEqual([json.code, JSON.parse(json.out).clean], [65, false])
  assert.match((await run('dump', '--data', data)).out, /content damaged\n/)
  assert.equal((await run('dump', '--data', data, '--raw', ids[0] as string)).code, 65)
  overwrite(path, 5_000, segment.subarray(5_000, 5_006))
  assert.ok(readFileSync(path).equals(segment))
})

test('where there is no spool, it says how to find one', async () => {
  for (const command of ['fsck', 'stat', 'dump']) {
    const missing = await run(command, '--data', 'elsewhere')
    assert.equal(missing.code, 1)
    assert.match(missing.err, /^posthaste: there is no spool in .*elsewhere\n {2}Name the right place by --data/)
  }
})

function overwrite(path: string, position: number, bytes: Uint8Array): void {
  const fd = openSync(path, 'r+')
  writeSync(fd, bytes, 0, bytes.length, position)
  closeSync(fd)
}

test('rebuild: refuses while a checkpoint is whole or the spool is in use; otherwise lists what may be sent twice', async () => {
  const place = join(directory, 'rebuilt')
  mkdirSync(place)
  const disk = openDisk(place)
  const world = openRig({ disk, config: { ...smallSpool, segmentBytes: 1 << 20, windowBytes: 1 << 20 } })
  const id = submit(world, small, (failure) => assert.equal(failure, null)) as string
  world.settle()
  world.spool.reclaim.request()
  while (!world.spool.reclaim.idle) world.pump()
  const whole = await run('rebuild', '--data', place)
  assert.deepEqual([whole.code, /checkpoint 1 is whole/.test(whole.err)], [1, true])

  const release = takeSpoolLock(place)
  assert.equal((await run('rebuild', '--data', place, '--force')).code, 69)
  release()

  const checkpoint = disk.open('spool/checkpoint/00000001.ckpt', 'write')
  checkpoint.writeAt(Buffer.from('x'), 0, 1, 40)
  checkpoint.close()
  disk.remove('spool/outcome-0/00000001.seg')
  const outcomes = disk.create('spool/outcome-0/00000007.seg')
  outcomes.writeAt(headerOfSegment(7), 0, 4096, 0)
  outcomes.close()
  const lost = await run('fsck', '--data', place)
  assert.deepEqual([lost.code, /A start is refused/.test(lost.out)], [65, true])

  const rebuilt = await run('rebuild', '--data', place)
  assert.equal(rebuilt.code, 0, rebuilt.err)
  assert.ok(rebuilt.out.includes(`  ${id} `) && /1 recipients are queued/.test(rebuilt.out), rebuilt.out)
  assert.match((await run('fsck', '--data', place)).out, /The spool is clean\./)
})

function headerOfSegment(segment: number): Buffer {
  const block = Buffer.alloc(4096)
  const facts = { version: 2, log: 'outcome-0', segment, segmentBytes: 1 << 20, salt: 1, firstBatch: 9 }
  writeSegmentHeader(block, { ...facts, createdAtMs: Date.UTC(2100, 0), previousEnd: 0 })
  return block
}
