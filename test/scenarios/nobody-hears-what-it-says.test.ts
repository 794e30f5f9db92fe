import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { launch } from '../support/posthaste.ts'
import { folder, sandboxConfig } from '../support/scenario.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
/** Linux's file that is always full. */
const full = '/dev/full'
const skip = existsSync(full) ? false : `there is no ${full}`

function said(args: readonly string[], stdout: number | 'pipe'): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', stdout, 'pipe'] })
  child.stdout?.destroy()
  let stderr = ''
  child.stderr?.on('data', (bytes: Buffer) => (stderr += bytes.toString()))
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stderr })))
}

test('while the disk that the log is on is full, the engine works, and ends when it is told to', {
  skip,
}, async (t) => {
  const log = openSync(full, 'w')
  t.after(() => closeSync(log))
  const program = launch(['start', '--config', sandboxConfig(folder(t), 'log: { level: debug }\n')], {}, log)
  t.after(() => program.kill())
  await program.ready

  for (let i = 0; i < 3; i++) {
    const { status } = await fetch(`http://127.0.0.1:${program.managementPort}/readyz`)
    assert.equal(status, 200)
  }
  program.signal('SIGTERM')

  assert.equal((await program.ended).code, 0)
})

test('a command whose reader has read enough ends without a word; one whose output has no room says so', {
  skip,
}, async (t) => {
  const file = openSync(full, 'w')
  t.after(() => closeSync(file))
  const [left, noRoom] = await Promise.all([said(['config', 'reference'], 'pipe'), said(['config', 'reference'], file)])
  assert.deepEqual(left, { code: 0, stderr: '' })
  assert.equal(noRoom.code, 74)
  assert.match(noRoom.stderr, /^posthaste: the output cannot be written: ENOSPC[^]*Make room/)
})
