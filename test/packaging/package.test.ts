/** The npm package as a stranger gets it: packed, installed into an empty folder, run. Needs npm, and its cache or a registry. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePort, startEngine } from '../support/engine.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const home = mkdtempSync(join(tmpdir(), 'posthaste-package-'))
const installed = join(home, 'node_modules', 'posthaste')
const program = join(home, 'node_modules', '.bin', 'posthaste')
/** The Node that runs this test comes first, as it would on a machine that meets the package's `engines`. */
const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH']}`, POSTHASTE_CONFIG: '' }

function run(command: string, ...commandArguments: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, commandArguments, { cwd: home, env, encoding: 'utf8' })
  assert.equal(status, 0, `${command} ${commandArguments.join(' ')}\n${stdout}${stderr}`)
  return stdout
}

before(() => {
  run(process.execPath, join(root, 'tools', 'pack.ts'))
  const tarball = readdirSync(join(root, 'dist')).find((name) => name.endsWith('.tgz'))
  assert.ok(tarball !== undefined)
  writeFileSync(join(home, 'package.json'), '{ "private": true }')
  run('npm', 'install', join(root, 'dist', tarball), '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error')
})

after(() => rmSync(home, { recursive: true, force: true }))

test('it holds JavaScript, no tests, and no carrier of the runtime', () => {
  const files = readdirSync(join(installed, 'dist'), { recursive: true, encoding: 'utf8' })
  assert.ok(files.includes('main.js'))
  assert.deepEqual(
    files.filter((name) => /\.test\.|(?<!\.d)\.ts$/.test(name)),
    [],
  )
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Record<string, unknown>
  assert.deepEqual(
    Object.keys(manifest).filter((key) => /^(scripts|devDependencies|optionalDependencies)$/.test(key)),
    [],
  )
  assert.deepEqual(manifest['engines'], { node: '>=26' })
  assert.deepEqual(
    readdirSync(join(home, 'node_modules')).filter((name) => name.startsWith('node-')),
    [],
  )
})

test('it says its version and checks a configuration file', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  assert.match(run(program, 'version'), new RegExp(`^posthaste ${version.replaceAll('.', '\\.')} on Node 26\\.`))

  const file = join(home, 'posthaste.yaml')
  writeFileSync(file, 'hostname: mail.example.com\n')
  assert.match(run(program, 'config', 'check', '--config', file), /is fine/)
})

test('it starts, with all its threads, and stops', async () => {
  const port = await freePort()
  const engine = await startEngine({
    directory: join(home, 'engine'),
    port,
    config: '',
    program: [process.execPath, join(installed, 'dist', 'main.js')],
  })
  assert.equal(await engine.stop(), 0, engine.log())
})
