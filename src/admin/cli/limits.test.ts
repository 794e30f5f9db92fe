/** Bounds of the command line at their edge: one below, at it, one above. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { benchBytesMax } from '../limits.ts'
import { runCli } from './cli.ts'

const directory = mkdtempSync(join(tmpdir(), 'posthaste-cli-limits-'))
after(() => rmSync(directory, { recursive: true }))

async function run(args: readonly string[], answerMsMax: number): Promise<{ code: number; err: string }> {
  let err = ''
  const code = await runCli(args, {
    version: '9.9.9',
    env: { POSTHASTE_CONFIG: '' },
    cwd: directory,
    stdout: { write: () => undefined },
    stderr: { write: (chunk) => void (err += String(chunk)) },
    loadApp: () => Promise.reject(new Error('not started here')),
    loadLimits: () => Promise.reject(new Error('not asked for here')),
    answerMsMax,
  })
  return { code, err }
}

test('limit cli.answer: an engine that answers in time is heard, one that is silent for longer is exit code 69', async (t) => {
  let answers = true
  const engine = createServer((_, response) => void (answers && response.end('{}')))
  await new Promise<void>((resolve) => engine.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    engine.closeAllConnections()
    engine.close()
  })
  const port = String((engine.address() as AddressInfo).port)
  assert.equal((await run(['status', '--json', '--management-port', port], 5_000)).code, 0)
  answers = false
  const { code, err } = await run(['status', '--json', '--management-port', port], 50)
  assert.equal(code, 69)
  assert.match(err, /did not answer in time/)
})

test('limit cli.bench-size: messages of 100 MiB may be asked for, one octet more is wrong usage', async () => {
  for (const bytes of [benchBytesMax.value - 1, benchBytesMax.value, benchBytesMax.value + 1]) {
    // Where sizes are fine, the address is not.
    const { code, err } = await run(
      ['bench', 'source', '--to', '192.0.2.1:25', '--messages', '1', '--bytes', String(bytes)],
      5_000,
    )
    assert.equal(code, 64)
    assert.match(err, bytes > benchBytesMax.value ? /is a size up to 100 MiB/ : /not a loopback address/)
  }
})
