/** `posthaste acct`: the last lines, those that match, and those that come, out of all files there are. */
import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { adminRig } from '../../../test/support/admin-rig.ts'
import { headOf, outcomeOf } from '../../../test/support/store-rig.ts'
import { acceptedLine, outcomeLine } from '../../events/accounting/lines.ts'
import { hourMs } from '../../kernel/units.ts'
import type { OutcomeKind } from '../../model/outcome.ts'
import { noFacts } from '../../model/submission.ts'
import { tailLinesMax } from '../limits.ts'
import { runCli } from './cli.ts'

const noonMs = Date.UTC(2026, 10, 22, 12)

function directoryOf(t: TestContext): string {
  const data = mkdtempSync(join(tmpdir(), 'posthaste-acct-cli-'))
  t.after(() => rmSync(data, { recursive: true }))
  mkdirSync(join(data, 'accounting'))
  return data
}

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

async function run(
  data: string,
  args: readonly string[],
  onOut?: (out: string) => void,
  ended?: AbortSignal,
): Promise<Ran> {
  let out = ''
  let err = ''
  const code = await runCli(['acct', ...args, '--data', data], {
    version: '9.9.9',
    env: {},
    cwd: data,
    stdout: {
      write: (chunk) => {
        out += String(chunk)
        onOut?.(out)
      },
    },
    stderr: { write: (chunk) => void (err += String(chunk)) },
    loadApp: () => Promise.reject(new Error('not started here')),
    loadLimits: () => Promise.reject(new Error('not asked for here')),
    ...(ended === undefined ? {} : { ended }),
  })
  return { code, out, err }
}

const accepted = (
  position: number,
  {
    tenant = 'acme',
    recipient = `u${position}@example.net`,
    returnPath = 'b@acme.example',
    from = '',
    subject = 'Hi',
  } = {},
): string =>
  acceptedLine(
    position,
    headOf(position, noonMs + position * 1_000, { tenant, recipients: [recipient], returnPath }),
    { ...noFacts, from, subject },
    { log: 'intake-0', position },
    0,
  )

const ended = (position: number, kind: OutcomeKind, atMs = noonMs + position * 2_000): string =>
  outcomeLine(
    position,
    headOf(position, noonMs + position * 1_000),
    noFacts,
    outcomeOf(kind, 1, { atMs }),
    { log: 'outcome-0', position },
    0,
  )

/** Twelve lines in three files, the oldest compressed, and half a line. */
function filled(t: TestContext): string {
  const data = directoryOf(t)
  const line = (n: number): string => accepted(n) + ended(n, n % 2 === 0 ? 'delivered' : 'deferred')
  const directory = join(data, 'accounting')
  writeFileSync(join(directory, 'acct-20261122T120005Z-1.json.gz'), gzipSync(line(1) + line(2)))
  writeFileSync(join(directory, 'acct-20261122T120010Z-1.json'), line(3) + line(4))
  writeFileSync(join(directory, 'acct.json'), `${line(5)}${line(6)}{"v":1,"event":"acc`)
  return data
}

const positions = (out: string): string[] =>
  out
    .split('\n')
    .filter((text) => text !== '')
    .map((text) => JSON.parse(text) as { event: string; position: number })
    .map(({ event, position }) => `${event} ${position}`)

test('tail: the last ten lines, or as many as asked for, out of as many files as it takes', async (t) => {
  const data = filled(t)
  const ten = await run(data, ['tail', '--json'])
  assert.equal(ten.code, 0, ten.err)
  assert.equal(positions(ten.out).length, 10)
  for (const [count, first] of [
    [0, undefined],
    [1, 'delivered 6'],
    [4, 'accepted 5'],
    [5, 'delivered 4'],
    [11, 'deferred 1'],
    [12, 'accepted 1'],
    [100, 'accepted 1'],
  ] as const) {
    const { out } = await run(data, ['tail', '-n', String(count), '--json'])
    assert.deepEqual([positions(out).length, positions(out)[0]], [Math.min(count, 12), first])
    assert.equal(positions(out).at(-1), count === 0 ? undefined : 'delivered 6')
  }
})

test('a line for people: when, what, which message, from whom to whom, and the answer', async (t) => {
  const { out } = await run(filled(t), ['tail', '-n', '4'])
  const id = headOf(5, noonMs + 5_000).id
  assert.deepEqual(out.split('\n').slice(0, 2), [
    `2026-11-22T12:00:05.000Z  accepted    ${id} acme <b@acme.example> to <u5@example.net>: "Hi", 1000 B, by smtp from 203.0.113.7 helo.example`,
    `2026-11-22T12:00:10.000Z  deferred    ${id} acme <bounces@acme.example> to <user5@example.net>: 451 4.7.1 deferred, attempt 1, by mx.example.net [192.0.2.7:25], 30ms, next attempt 2026-11-22T12:05:10.000Z`,
  ])
})

test('query: every filter, and all of them together; exit code 1 when nothing matches', async (t) => {
  const data = filled(t)
  const found = async (...args: string[]): Promise<string[]> => {
    const { code, out } = await run(data, ['query', '--json', ...args])
    assert.equal(code, out === '' ? 1 : 0)
    return positions(out)
  }
  assert.equal((await found()).length, 12)
  assert.deepEqual(await found('--event', 'delivered'), ['delivered 2', 'delivered 4', 'delivered 6'])
  assert.equal((await found('--event', 'delivered', '--event', 'deferred')).length, 6)
  assert.deepEqual(await found('--id', headOf(3, noonMs + 3_000).id.toUpperCase()), ['accepted 3', 'deferred 3'])
  assert.deepEqual(await found('--recipient', 'U4@Example.NET'), ['accepted 4'])
  assert.equal((await found('--recipient', '@example.net')).length, 12)
  assert.equal((await found('--sender', 'b@acme.example')).length, 6)
  assert.deepEqual(await found('--tenant', 'other'), [])
  assert.deepEqual(await found('--since', '2026-11-22T12:00:08Z', '--until', '2026-11-22T12:00:12Z'), [
    'delivered 4',
    'deferred 5',
  ])
  assert.equal((await found('--since', '2026-11-22')).length, 12)
  assert.deepEqual(await found('--since', '2026-11-23'), [])
  assert.deepEqual(await found('--event', 'accepted', '--since', '2026-11-22T12:00:05Z'), ['accepted 5', 'accepted 6'])
})

test('query --sender: by From too, and the null sender', async (t) => {
  const data = directoryOf(t)
  const lines = [
    accepted(1, { from: 'Ann <Ann@acme.example>' }),
    accepted(2, { returnPath: '' }),
    accepted(3, { from: 'bob@acme.example' }),
  ]
  writeFileSync(join(data, 'accounting/acct.json'), lines.join(''))
  for (const [sender, positionsFound] of [
    ['ann@acme.example', ['accepted 1']],
    ['<>', ['accepted 2']],
    ['BOB@acme.example', ['accepted 3']],
    ['@acme.example', ['accepted 1', 'accepted 3']],
  ] as const)
    assert.deepEqual(positions((await run(data, ['query', '--json', '--sender', sender])).out), positionsFound)
})

test('what strangers wrote does not reach the terminal, and what is no line is counted', async (t) => {
  const data = directoryOf(t)
  const nasty = accepted(1, { subject: 'a\u001b[31m\u009b\nb\u2028', recipient: 'x\r\n2026 forged@example.net' })
  const file = `${nasty}{"v":1}\nnull\nnot json\n{"event":"a","time":"b","id":"c","tenant":"d","recipient":"e\u001b","from":5}\n${'x'.repeat(300_000)}\n${accepted(2)}`
  writeFileSync(join(data, 'accounting/acct.json'), file)
  for (const command of ['query', 'tail']) {
    const { out, err, code } = await run(data, [command])
    assert.equal(code, 0)
    assert.equal(out.split('\n').length, 3)
    assert.equal(out.replaceAll(/[\p{Cc}\u2028]/gu, ''), out.replaceAll('\n', ''))
    assert.match(err, /^(.*too long.*\n)?posthaste: lines that are none of the accounting log were left out: [45]\n$/)
  }
})

test('a damaged file is read as far as it goes, and the others all the same', async (t) => {
  const data = filled(t)
  const packed = gzipSync(Array.from({ length: 2_000 }, (_, n) => accepted(n + 100)).join(''))
  writeFileSync(join(data, 'accounting/acct-20261122T120007Z-1.json.gz'), packed.subarray(0, packed.length / 2))
  const { out, err, code } = await run(data, ['query', '--json'])
  assert.equal(code, 0)
  assert.match(err, /acct-20261122T120007Z-1\.json\.gz cannot be read to its end/)
  assert.equal(positions(out).at(-1), 'delivered 6')
  assert.equal(positions(out)[0], 'accepted 1')
})

test('tail --follow: goes on through rotations, one upon the other, until it is ended', async (t) => {
  const data = filled(t)
  const path = join(data, 'accounting/acct.json')
  const end = new AbortController()
  let seen = ''
  const until = async (last: string): Promise<void> => {
    while (!seen.includes('\n') || positions(seen.slice(0, seen.lastIndexOf('\n'))).at(-1) !== last)
      await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const running = run(data, ['tail', '--follow', '-n', '1', '--json'], (out) => void (seen = out), end.signal)
  await until('delivered 6')
  // The half line becomes a whole one.
  appendFileSync(path, `epted"}\n${accepted(7)}`)
  await until('accepted 7')
  appendFileSync(path, accepted(8))
  renameSync(path, join(data, 'accounting/acct-20261122T130000Z-1.json'))
  writeFileSync(path, accepted(9))
  renameSync(path, join(data, 'accounting/acct-20261122T130000Z-2.json'))
  writeFileSync(path, accepted(10))
  await until('accepted 10')
  rmSync(path)
  writeFileSync(path, '')
  appendFileSync(path, accepted(11))
  await until('accepted 11')
  end.abort()
  const { code, out } = await running
  assert.equal(code, 0)
  assert.deepEqual(positions(out), ['delivered 6', ...[7, 8, 9, 10, 11].map((n) => `accepted ${n}`)])
})

test('where there is none it says so, and wrong flags are told', async (t) => {
  const data = directoryOf(t)
  assert.deepEqual([(await run(data, ['tail'])).code, (await run(data, ['query'])).code], [0, 1])
  const missing = await run(join(data, 'elsewhere'), ['tail'])
  assert.equal(missing.code, 1)
  assert.match(
    missing.err,
    /^posthaste: there is no accounting log in .*elsewhere\/accounting\n {2}Name the right place/,
  )
  for (const args of [
    ['query', '--event', 'arrived'],
    ['query', '--since', 'yesterday'],
    ['query', '--until', '2026-13-01'],
  ])
    assert.equal((await run(data, args)).code, 64)
  assert.equal((await run(data, ['query', '--since', `${hourMs}ms`])).code, 1)
})

test('limit cli.tail-lines: so many may be asked for, one more is wrong usage', async (t) => {
  const data = directoryOf(t)
  for (const count of [tailLinesMax.value - 1, tailLinesMax.value, tailLinesMax.value + 1])
    assert.equal((await run(data, ['tail', '-n', String(count)])).code, count > tailLinesMax.value ? 64 : 0)
})

test('while an engine runs a tenant of its directory may be called by its name', async (t) => {
  const { directory, server } = await adminRig(t)
  const { id } = await directory.createTenant('shop')
  const data = directoryOf(t)
  writeFileSync(join(data, 'accounting', 'acct.json'), accepted(1, { tenant: id }) + accepted(2, { tenant: 'other' }))
  const query = async (...args: readonly string[]): Promise<string[]> =>
    (await run(data, ['query', '--json', ...args, '--management-port', String(server.address.port)])).out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { tenant: string }).tenant)
  assert.deepEqual(await query('--tenant', 'shop'), [id])
  assert.deepEqual(await query('--tenant', id), [id])
  // One of the configuration file, which the directory does not know.
  assert.deepEqual(await query('--tenant', 'other'), ['other'])
  await server.stop()
  assert.deepEqual(await query('--tenant', id), [id])
})
