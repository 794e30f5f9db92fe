import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { folder, posthaste, startSandbox } from '../support/scenario.ts'

test('a second instance on the same data says who is there and what to do, and leaves the first alone', async (t) => {
  const directory = folder(t)
  const first = await startSandbox(t, directory)

  const ports = ['--smtp-port', '0', '--http-port', '0', '--management-port', '0']
  const second = await posthaste('start', '--config', join(directory, 'posthaste.yaml'), ...ports)

  assert.equal(second.code, 69)
  assert.equal(second.stdout.toString(), '')
  assert.ok(second.stderr.includes(`${directory}/data is in use by process ${first.pid}`), second.stderr)
  assert.match(second.stderr, /stop that Posthaste first, or start this one with its own directory: --data DIR/)
  assert.equal(await first.stop(), 0)
})
