/** suppression list, add, remove: what people type, what they read, and what they have in files. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { type AdminRig, adminRig } from '../../../test/support/admin-rig.ts'
import { addressLineCharactersMax } from '../limits.ts'
import { runCli } from './cli.ts'

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

interface World extends AdminRig {
  readonly run: (...args: readonly string[]) => Promise<Ran>
  readonly file: (name: string, content: string | Buffer) => void
  readonly listed: () => Promise<string[]>
}

async function world(t: TestContext): Promise<World> {
  const rig = await adminRig(t)
  const { id } = await rig.directory.createTenant('acme')
  const run = async (...args: readonly string[]): Promise<Ran> => {
    const written = { out: '', err: '' }
    const stream = (name: 'out' | 'err') => ({
      write: (chunk: string | Uint8Array) => void (written[name] += Buffer.from(chunk as string).toString()),
    })
    const code = await runCli(['suppression', ...args, '--management-port', String(rig.server.address.port)], {
      version: '9.9.9',
      env: { POSTHASTE_CONFIG: '' },
      cwd: rig.folder,
      stdout: stream('out'),
      stderr: stream('err'),
      loadApp: () => Promise.reject(new Error('not started here')),
      loadLimits: () => Promise.reject(new Error('not asked for here')),
    })
    return { code, ...written }
  }
  const file = (name: string, content: string | Buffer): void => writeFileSync(join(rig.folder, name), content)
  const listed = async (): Promise<string[]> =>
    (await rig.directory.suppressions.list(id, {})).entries.map(({ address }) => address)
  return { ...rig, run, file, listed }
}

test('add, list, remove', async (t) => {
  const { run, directory } = await world(t)
  assert.equal((await run('list')).out, 'Nobody is on the list.\n')
  assert.deepEqual(await run('add', 'Ann@example.com', 'bob@example.com', '--note', 'asked us to'), {
    code: 0,
    out: '2 addresses added.\n',
    err: '',
  })
  assert.equal(
    (await run('add', 'ann@example.com', '--tenant', 'acme')).out,
    '0 addresses added. 1 was on the list already.\n',
  )
  const list = await run('list', '--limit', '1')
  assert.match(
    list.out,
    /^ADDRESS +REASON +SINCE +BY +DETAIL\nann@example\.com +manual +\S+ +admin +asked us to\n1 of 2; there is more: --after ann@example\.com\n$/,
  )
  assert.match((await run('list', '--after', 'ann@example.com')).out, /^ADDRESS.*\nbob@example\.com .*\n1 of 2\n$/)
  assert.equal(
    (await run('list', '--reason', 'hard_bounce')).out,
    'Nobody like that is on the list, which has 2 addresses.\n',
  )
  assert.equal(
    JSON.parse((await run('list', '--prefix', 'BOB', '--json')).out).suppressions[0].address,
    'bob@example.com',
  )
  assert.deepEqual(await run('remove', 'ANN@example.com', 'eve@example.com'), {
    code: 1,
    out: '1 address removed.\nNot on the list: eve@example.com\n',
    err: '',
  })
  assert.deepEqual(await run('remove', 'bob@example.com'), { code: 0, out: '1 address removed.\n', err: '' })

  await directory.createTenant('beta')
  const needed = await run('add', 'ann@example.com')
  assert.deepEqual(
    [needed.code, needed.err],
    [
      65,
      'posthaste: there are several tenants, and each has its own list\n  Name one: --tenant, or tenant in a request, with a name or an id.\n',
    ],
  )
  assert.equal((await run('add', 'ann@example.com', '--tenant', 'gamma')).code, 1)
  assert.equal((await run('list', '--tenant', 'acme', '--reason', 'x')).code, 65)
  const none = await run('add', '--tenant', 'acme', '--json')
  assert.deepEqual([none.code, JSON.parse(none.err).code], [64, 'no_addresses'])
})

test('a file has one address in a line, or in the first column, as spreadsheets write them', async (t) => {
  const { run, file, listed } = await world(t)
  file(
    'list.csv',
    '\ufeffEmail,Name\r\nann@example.com,Ann\r\n\r\n"bob@example.com";"Bob; the other"\r\n carl@example.com\t5\r\n"""o neil""@example.com",6\r\n"o,neil"@example.com\r\njürgen@example.com',
  )
  assert.equal((await run('add', 'zoe@example.com', '--file', 'list.csv')).out, '7 addresses added.\n')
  assert.deepEqual(await listed(), [
    '"o neil"@example.com',
    '"o,neil"@example.com',
    'ann@example.com',
    'bob@example.com',
    'carl@example.com',
    'jürgen@example.com',
    'zoe@example.com',
  ])
})

test('lines without an address are named, and nothing is done', async (t) => {
  const { run, file, listed } = await world(t)
  file('bad.txt', 'ann@example.com\n\nbob\ncarl@example.com\nhttp://x\n\u001b[31m@\n')
  const bad = await run('add', 'zoe@example.com', '--file', 'bad.txt')
  assert.equal(bad.code, 65)
  assert.match(
    bad.err,
    /bad\.txt: 3 of 5 lines have no address, so nothing was done\n {4}line 3: "bob": the local part/,
  )
  assert.match(bad.err, /\n {4}line 5: .*\n {4}line 6: "\\u001b\[31m@": /)
  file('worse.txt', 'x\n'.repeat(100))
  assert.match((await run('add', '--file', 'worse.txt')).err, /line 20: .*\n {4}and 80 more\n/)
  file('utf16.txt', Buffer.from('\ufeffann@example.com\n', 'utf16le'))
  assert.match((await run('add', '--file', 'utf16.txt')).err, /is not UTF-8\n {2}Save it as UTF-8\./)
  file('cut.txt', Buffer.from('ann@example.com\nbob@example.com\xc3', 'latin1'))
  assert.equal((await run('add', '--file', 'cut.txt')).code, 65)
  assert.equal((await run('add', '--file', 'not-there.txt')).code, 74)
  assert.match((await run('add', '--file', '.')).err, /it is no file\n {2}Name a file that you may read/)
  file('empty.txt', '\n\n')
  assert.equal((await run('add', '--file', 'empty.txt')).code, 64)
  assert.deepEqual(await listed(), [])
})

test('a file that changes meanwhile is never taken for done', async (t) => {
  const { run, file, directory, listed } = await world(t)
  // Of 128 octets, so that no piece that was read ends within a line.
  const line = (n: number): string => `${'x'.repeat(52)}${n}@${'y'.repeat(62)}.example
`
  file('long.txt', Array.from({ length: 5_000 }, (_, n) => line(1_000 + n)).join(''))
  directory.suppressions.onNews(() => file('long.txt', ''))
  const { code, err } = await run('add', '--file', 'long.txt')
  assert.deepEqual([code, err.split('\n')[1]], [65, '  Run the command again, and leave the file alone meanwhile.'])
  const done = Number(/now: ([\d,]+) of 5,000 addresses were added/.exec(err)?.[1]?.replace(',', ''))
  assert.ok(done > 0 && done < 5_000)
  assert.equal((await listed()).length, Math.min(done, 1_000))
})

test('a long list goes in batches that the admin API takes; one that is refused leaves those before it', async (t) => {
  const { run, file, directory, db, listed } = await world(t)
  const long = Array.from({ length: 2_500 }, (_, n) => `${'x'.repeat(50)}${n}@${'y'.repeat(50)}.example`)
  file('long.txt', long.join('\n'))
  assert.equal((await run('add', '--file', 'long.txt')).out, '2,500 addresses added.\n')
  assert.equal((await run('remove', '--file', 'long.txt')).out, '2,500 addresses removed.\n')
  assert.deepEqual(await listed(), [])
  const { id } = await directory.findTenant('acme')
  await db
    .insertInto('suppression_counts')
    .values({ tenant: id, entries: 5_000_000 - 1_000 })
    .execute()
  const refused = await run('add', '--file', 'long.txt')
  assert.equal(refused.code, 65)
  assert.match(
    refused.err,
    /nothing was added; the first [\d,]+ of 2,500 were added before\n .*may be named again\.\n$/,
  )
})

test('limit cli.address-line: a line of 4,096 characters is read, a longer one is named', async (t) => {
  const { run, file } = await world(t)
  for (const length of [
    addressLineCharactersMax.value - 1,
    addressLineCharactersMax.value,
    addressLineCharactersMax.value + 1,
  ]) {
    file('line.csv', `ann@example.com,${'x'.repeat(length - 16)}\nbob@example.com\n`)
    const { code, err } = await run('add', '--file', 'line.csv')
    if (length <= addressLineCharactersMax.value) assert.equal(code, 0)
    else assert.match(err, /1 of 2 lines .*\n {4}line 1: the line is too long/)
  }
})
