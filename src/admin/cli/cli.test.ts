import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { engineView, statusExample } from '../../../test/support/fake-engine-view.ts'
import { compiled } from '../../../test/support/posthaste.ts'
import { ensureAdminToken } from '../../config/config.ts'
import { createAdminServer, type AdminServer } from '../admin.ts'
import { runCli, type CliOptions, type StartApp } from './cli.ts'

const directory = mkdtempSync(join(tmpdir(), 'posthaste-cli-'))
const configFile = join(directory, 'posthaste.yaml')
const engine = engineView()
let server: AdminServer

before(async () => {
  const token = ensureAdminToken(join(directory, 'data'))
  server = createAdminServer(engine, { address: '127.0.0.1', port: 0, token })
  await server.start()
  writeFileSync(
    configFile,
    `hostname: mail.example.com\ndata_directory: data\nmanagement:\n  port: ${server.address.port}\n`,
  )
})
after(async () => {
  await server.stop()
  rmSync(directory, { recursive: true })
})

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

interface InProcess extends Partial<CliOptions> {
  readonly tty?: boolean
}

/** In this process, for speed; what `main.ts` adds is tested with a child. */
async function run(args: readonly string[], { tty = false, ...options }: InProcess = {}): Promise<Ran> {
  const written = { out: '', err: '' }
  const stream = (name: 'out' | 'err') => ({
    isTTY: tty,
    columns: 100,
    write: (chunk: string | Uint8Array) => void (written[name] += Buffer.from(chunk as string).toString('latin1')),
  })
  const code = await runCli(args, {
    version: '9.9.9',
    env: { POSTHASTE_CONFIG: configFile },
    cwd: directory,
    stdout: stream('out'),
    stderr: stream('err'),
    loadApp: () => Promise.reject(new Error('not started here')),
    loadLimits: () => Promise.reject(new Error('not asked for here')),
    ...options,
  })
  return { code, ...written }
}

function child(args: readonly string[], env: Record<string, string>): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const main = new URL('../../main.ts', import.meta.url).pathname
    const started = spawn(process.execPath, [main, ...args], {
      cwd: directory,
      env: { NODE_COMPILE_CACHE: compiled, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const written = { out: '', err: '' }
    started.stdout.on('data', (chunk: Buffer) => void (written.out += chunk.toString()))
    started.stderr.on('data', (chunk: Buffer) => void (written.err += chunk.toString()))
    started.on('error', reject)
    started.on('close', (code) => resolve({ code: code ?? -1, ...written }))
  })
}

test('main.ts: version, status of a live engine, usage, and a wrong configuration', async () => {
  const env = { POSTHASTE_CONFIG: configFile }
  writeFileSync(join(directory, 'wrong.yaml'), 'hostname: mail.example.com\nsmtpp: {}\n')
  const [version, status, usage, wrong] = await Promise.all([
    child(['version', '--json'], env),
    child(['status', '--json'], env),
    child(['stats'], env),
    child(['start', '--config', 'wrong.yaml'], env),
  ])
  assert.deepEqual([version.code, Object.keys(JSON.parse(version.out))], [0, ['posthaste', 'node']])
  assert.deepEqual([status.code, status.err, JSON.parse(status.out).uptime_ms], [0, '', statusExample.uptimeMs])
  assert.equal(usage.code, 64)
  assert.match(usage.err, /^posthaste: unknown command 'stats'\n\(Did you mean status\?\)/)
  assert.deepEqual([wrong.code, wrong.out], [78, ''])
  assert.match(
    wrong.err,
    /^posthaste: .*wrong\.yaml has an error:\n {2}.*wrong\.yaml:2:1: smtpp: is not a known option\n {6}Did you mean smtp\?\n {2}Nothing was started/,
  )
})

test('help and version end well, wrong usage ends with 64 and says so', async () => {
  for (const args of [['--help'], ['help'], ['help', 'start'], ['start', '--help'], ['--version']]) {
    assert.equal((await run(args)).code, 0, args.join(' '))
  }
  for (const args of [
    [],
    ['nonsense'],
    ['start', '--nonsense'],
    ['message', 'show'],
    ['start', '--smtp-port', '99999'],
    ['version', 'x'],
  ]) {
    const { code, err } = await run(args)
    assert.deepEqual([code, err === ''], [64, false], args.join(' '))
  }
})

test('start hands over a checked configuration, flags first, and leaves with the engine’s exit code', async () => {
  const seen: Parameters<StartApp>[0][] = []
  const loadApp = async (): Promise<StartApp> => async (options) => {
    seen.push(options)
    return 7
  }
  const flags = ['--smtp-port', '0', '--http-port', '0', '--management-port', '0', '--data', 'elsewhere']
  assert.equal((await run(['start', ...flags], { loadApp, env: { POSTHASTE_CONFIG: '' } })).code, 7)
  assert.equal((await run(['start'], { loadApp })).code, 7)
  const [sandbox, production] = seen.map(({ config }) => config)
  assert.deepEqual(
    [sandbox?.file, sandbox?.sandbox, sandbox?.dataDirectory],
    [null, true, join(directory, 'elsewhere')],
  )
  assert.deepEqual([sandbox?.smtp.listeners[0]?.port, sandbox?.management.port], [0, 0])
  assert.deepEqual([production?.file, production?.sandbox, seen[1]?.version], [configFile, false, '9.9.9'])
  assert.equal(seen[1]?.warnings.length, 2)
})

test('status is one screen, without colour where nobody sees it, and lets no control characters through', async () => {
  const { code, out } = await run(['status'])
  assert.equal(code, 0)
  assert.deepEqual(out.split('\n').slice(0, 18), [
    'mail.example.com is DEGRADED, up 3.2d, posthaste 0.1.0',
    '  ! the disk is nearly full',
    '',
    'last minute  123/s accepted, 1,119/s delivered, 0.25/s deferred, 0/s bounced',
    'since start  1,234,567 accepted for 1,300,000 recipients, 1,290,000 delivered, 900 bounced, 12 expired, 5 suppressed, 44 refused',
    'queue        9,088 waiting: 40 ready, 9,000 deferred, 48 in flight, oldest 2h',
    'connections  12 in, 20 out, 3 out and idle',
    'spool        open, 3 GiB free on disk (new mail is refused below 1 GiB)',
    'store        1,234 messages of 3 days, 4.8 MiB',
    'notices      12 made, 1 came to nothing',
    'accounting   acct.json cannot be written (ENOSPC); 4.8 MiB wait for it in the logs, and mail goes on',
    'set aside    2 messages over which the program has died twice; see strikes.json',
    '',
    'SITE               QUEUED  IN FLIGHT  CONNECTIONS  STATE   LAST COMPLAINT',
    'mx.example.net:25   8,000         20           20  open    421 4.7.0 slow\\u001b[31m down',
    'mx.example.org:25   1,000          0            0  paused',
    '',
    'LOG       SEGMENTS     SIZE  COMMITTED',
  ])
  const coloured = (await run(['status'], { tty: true })).out
  assert.notEqual(coloured, out)
  assert.equal(stripVTControlCharacters(coloured), out)
  assert.equal((await run(['status'], { tty: true, env: { POSTHASTE_CONFIG: configFile, NO_COLOR: '1' } })).out, out)
})

test('message show tells where it is and every attempt; --json is the API’s answer unchanged', async () => {
  const { code, out } = await run(['message', 'show', 'known'])
  assert.equal(code, 0)
  assert.equal(
    out,
    [
      'Message known',
      'From app@example.com, subject "Your invoice", tenant app, 12.1 KiB, accepted 2026-11-22T03:00:00Z from 10.0.0.1 app.example.com.',
      '',
      'ann@example.net: deferred; next attempt 2026-11-22T03:05:00Z; may have arrived twice',
      '  1. 2026-11-22T03:00:01Z  deferred at rcpt by mx.example.net [192.0.2.1], TLSv1.3, 52ms',
      '     450 4.2.1 greylisted\\u0007',
      '',
      'bob@example.org: queued',
      '  no attempt yet',
      '',
    ].join('\n'),
  )
  const json = JSON.parse((await run(['message', 'show', 'known', '--json'])).out)
  assert.equal(json.recipients[0].next_attempt_at, '2026-11-22T03:05:00Z')
  for (const id of ['unknown', 'expired', '../status?']) {
    const missing = await run(['message', 'show', id])
    assert.deepEqual([missing.code, missing.out], [1, ''], id)
    assert.match(missing.err, /^posthaste: .*message.*\n {2}\S/)
  }
  const asJson = await run(['message', 'show', 'unknown', '--json'])
  assert.equal(JSON.parse(asJson.err).code, 'message_unknown')
})

test('captured mail: list, show, raw', async () => {
  const list = await run(['sandbox', 'list', '--to', 'ann@example.net', '--limit', '5'])
  assert.match(
    list.out,
    /^RECEIVED.*SUBJECT\n2026-11-22T03:00:00Z {2}c1 {2}300 B {2}app@example\.com {2}ann@example\.net and 1 more {2}Hello\nThere is more: --before c1\n$/,
  )
  assert.deepEqual(engine.queries.at(-1), { limit: 5, before: null, to: 'ann@example.net' })
  assert.match(
    (await run(['sandbox', 'show', 'c1'])).out,
    /Subject: Hello\n\nHello Ann,\n\\u001b\]0;owned\\u0007bye\n$/,
  )
  assert.equal((await run(['sandbox', 'raw', 'c1'])).out, engine.raw.toString('latin1'))
  assert.equal((await run(['sandbox', 'raw', 'c2'])).code, 1)
  assert.equal((await run(['sandbox', 'list', '--limit', 'x'])).code, 65)
})

test('an engine that is not there, is not ours, or does not know the token, is told apart', async () => {
  const away = await run(['status', '--management-port', '1'])
  assert.equal(away.code, 69)
  assert.match(away.err, /^posthaste: no engine answers at http:\/\/127\.0\.0\.1:1\n {2}.*`posthaste start`/)
  const noToken = await run(['status', '--data', 'nowhere'])
  assert.equal(noToken.code, 78)
  assert.match(noToken.err, /admin-token cannot be opened: there is no such file/)
  mkdirSync(join(directory, 'other'))
  ensureAdminToken(join(directory, 'other'))
  const wrongToken = await run(['status', '--data', 'other'])
  assert.deepEqual([wrongToken.code, wrongToken.err.split('\n')[0]], [78, 'posthaste: the token is wrong'])
  assert.equal(JSON.parse((await run(['status', '--json', '--management-port', '1'])).err).code, 'engine_unreachable')
})

test('config check lists mistakes, config show says where each value comes from and masks secrets', async () => {
  const fine = await run(['config', 'check'])
  assert.equal(fine.code, 0)
  assert.match(fine.out, /^warning: [^]*nobody may send\.\n.*posthaste\.yaml is fine\n$/)
  assert.match((await run(['config', 'check'], { env: { POSTHASTE_CONFIG: '' } })).out, /built-in sandbox/)
  writeFileSync(join(directory, 'bad.yaml'), 'hostname: x\nlog: {level: loud}\n')
  const bad = await run(['config', 'check', '--config', 'bad.yaml', '--json'])
  assert.equal(bad.code, 78)
  const report = JSON.parse(bad.out)
  assert.deepEqual(
    [report.ok, report.problems.length, report.problems[1].place, report.problems[1].key],
    [false, 2, { line: 2, column: 14 }, 'log.level'],
  )
  assert.equal((await run(['config', 'check', '--config', 'bad.yaml'])).code, 78)

  writeFileSync(join(directory, 'shown.yaml'), 'hostname: mail.example.com\nmanagement:\n  token: ${env:TOKEN}\n')
  const shown = await run(['config', 'show', '--config', 'shown.yaml', '--management-port', '81'], {
    env: { TOKEN: 'hunter2hunter2' },
  })
  assert.match(shown.out, /^hostname +mail\.example\.com +line 1$/m)
  assert.match(shown.out, /^management\.port +81 +flag$/m)
  assert.match(shown.out, /^management\.token +\*\*\* +line 3$/m)
  assert.match(shown.out, /^retry\.expire_after +72h +default$/m)
  assert.ok(!shown.out.includes('hunter2'))
  assert.match((await run(['config', 'reference'])).out, /^# Configuration reference/)
  assert.equal(JSON.parse((await run(['config', 'reference', '--json'])).out).type[0], 'object')
})

test('a bug says that it is one', async () => {
  const bug = await run(['start'])
  assert.deepEqual([bug.code, bug.err.split('\n')[0]], [70, 'posthaste: this is a bug, please report it:'])
})

test('whoever calls a command in a wrong way is pointed to the help of that command', async () => {
  for (const [args, help] of [
    [['tenant', 'add'], 'posthaste tenant add --help'],
    [['tenant', 'nope'], 'posthaste tenant --help'],
    [['status', 'extra'], 'posthaste status --help'],
    [['nope'], 'posthaste help'],
  ] as const) {
    const { code, out, err } = await run(args)
    assert.deepEqual([code, out], [64, ''])
    assert.ok(err.includes(`\`${help}\``), err)
  }
})
