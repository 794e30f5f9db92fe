/** The table of limits: it is whole, every limit has its test, and the page in docs is what the command prints. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { projectFiles, readProjectFile } from '../../test/support/house-source.ts'
import { runCli } from '../admin/cli/cli.ts'
import { loadConfig, sandboxConfig } from '../config/config.ts'
import { questionsInFlightMax } from '../adapters/dns/limits.ts'
import { connectionsMax as adminConnectionsMax } from '../admin/limits.ts'
import { routeLimits } from '../route/route.ts'
import { shapeLimits } from '../shape/shape.ts'
import { spoolLimits } from '../spool/spool.ts'
import { descriptorsPerDeliverThread, descriptorsReserved } from './limits.ts'
import { limitTable } from './limit-table.ts'

const directory = mkdtempSync(join(tmpdir(), 'posthaste-limits-'))
after(() => rmSync(directory, { recursive: true }))
const file = join(directory, 'posthaste.yaml')
writeFileSync(file, 'hostname: mail.example.com\n')

const { limits, totals } = limitTable(loadConfig(file, {}).config)
const names = limits.map(({ name }) => name)
const files = projectFiles()

async function print(...flags: string[]): Promise<string> {
  let out = ''
  const code = await runCli(['config', 'limits', '--config', file, ...flags], {
    version: '9.9.9',
    env: {},
    cwd: directory,
    stdout: { write: (chunk) => void (out += String(chunk)), columns: 300 },
    stderr: { write: (chunk) => assert.fail(String(chunk)) },
    loadApp: () => Promise.reject(new Error('not started here')),
    loadLimits: async () => limitTable,
  })
  assert.equal(code, 0)
  return out
}

test('every limit has a name of its own, an owner that exists, its arithmetic and its end', () => {
  assert.equal(new Set(names).size, names.length)
  for (const { name, value, unit, owner, why, breach } of limits) {
    assert.match(name, /^[a-z]+\.[a-z0-9]+([-_][a-z0-9]+)*$/)
    assert.ok(Number.isFinite(value) && value >= 0, name)
    assert.ok(
      files.some((path) => path.startsWith(`src/${owner}/`)),
      `${name}: there is no src/${owner}`,
    )
    assert.ok(unit !== '' && why.endsWith('.') && breach !== '' && !breach.endsWith('.'), name)
  }
})

test('the table has every limit of the sources', () => {
  const sources = files.filter((path) => path.startsWith('src/') && path.endsWith('.ts') && !path.endsWith('.test.ts'))
  const defined = sources.flatMap((path) =>
    [...readProjectFile(path).matchAll(/\blimit\(\{\s*name: '([^']+)'/g)].map(([, name]) => name as string),
  )
  assert.ok(defined.length > 60)
  assert.deepEqual(
    defined.filter((name) => !names.includes(name)),
    [],
    'their folder’s front file must export them, and limit-table.ts collect them',
  )
})

test('every limit has a test at its edge that is called by its name, and no test is called by another', () => {
  const titled = new Set<string>()
  for (const path of files.filter((name) => name.endsWith('.test.ts')))
    for (const [, name] of readProjectFile(path).matchAll(/['`, ]limit ([a-z]+\.[a-z0-9_-]+)[:,']/g))
      titled.add(name as string)
  assert.deepEqual(
    names.filter((name) => !titled.has(name)),
    [],
    'write test(`limit NAME: what passes, and what does not`)',
  )
  assert.deepEqual(
    [...titled].filter((name) => !names.includes(name)),
    [],
    'there is no such limit',
  )
})

test('docs/limits.md is what the command prints', async () => {
  const cure =
    'run: printf "hostname: mail.example.com\\n" >d.yaml; node src/main.ts config limits --markdown --config d.yaml >docs/limits.md'
  assert.ok(readProjectFile('docs/limits.md') === (await print('--markdown')), cure)
})

test('for a terminal no line is longer than 120 columns, and everything is in it', async () => {
  const text = await print()
  for (const line of text.split('\n')) assert.ok(line.length <= 120, line)
  for (const name of names) assert.ok(text.includes(`  ${name} `), name)
  assert.match(text, /\n {2}smtp\.command-line +512 B +500 5\.5\.2\n {6}RFC 5321 §4\.5\.3\.1\.4: /)
  assert.match(text, /\nmemory, at the very worst\n[^]*\n {2}together +\d+(\.\d)? GiB\n/)
})

test('for a program it is JSON with the values of the file, and what they come to', async () => {
  const { limits: listed, totals: sums } = JSON.parse(await print('--json')) as {
    limits: { name: string; value: number }[]
    totals: { name: string; value: number }[]
  }
  assert.equal(listed.find(({ name }) => name === 'smtp.message_size_max')?.value, 50 * 1024 * 1024)
  assert.deepEqual(
    sums.map(({ value }) => value),
    totals.map(({ parts }) => parts.reduce((sum, { count, each }) => sum + count * each, 0)),
  )
})

test('what is reserved of open files is what the parts may open', () => {
  const [segments, listeners, store, others] = [64, 2 * 64, 48, 48]
  assert.equal(
    descriptorsReserved.value,
    2 * segments + questionsInFlightMax.value + adminConnectionsMax.value + listeners + store + others,
  )
  assert.equal(descriptorsPerDeliverThread.value, segments + questionsInFlightMax.value)
  const { config } = sandboxConfig(directory)
  const files = limitTable(config).totals.find(({ unit }) => unit === 'files')
  assert.deepEqual(
    files?.parts.map(({ count, each }) => count * each),
    [
      config.smtp.connectionsMax,
      config.http.connectionsMax,
      2 * config.delivery.connectionsMax,
      0,
      descriptorsReserved.value,
    ],
  )
})

test('bounds that one stage takes from another, which it may not import, are the same in both', () => {
  assert.equal(shapeLimits.hungrySitesMax.value, routeLimits.sitesMax.value)
  assert.equal(spoolLimits.outcomesWaitingMax.value, shapeLimits.slotsMax.value)
})
