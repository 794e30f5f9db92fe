import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { folder, posthaste, sandboxConfig } from '../support/scenario.ts'

// A file stands where the directory should be, because permissions stop nobody who runs the tests as root.
test('a data directory that cannot be used is named, with the cure', async (t) => {
  const data = join(folder(t), 'data')
  writeFileSync(data, '')
  const { code, stdout, stderr } = await posthaste('start', '--config', sandboxConfig(folder(t)), '--data', data)
  assert.equal(code, 73, stderr)
  assert.equal(stdout.toString(), '')
  assert.ok(stderr.includes(`cannot use the data directory ${data}`), stderr)
  assert.match(stderr, /give it to the user that Posthaste runs as, or choose another one with --data DIR/)
})

test('so is a spool that cannot be made in it', async (t) => {
  const data = folder(t)
  writeFileSync(join(data, 'spool'), '')
  const { code, stderr } = await posthaste('start', '--config', sandboxConfig(folder(t)), '--data', data)
  assert.equal(code, 73, stderr)
  assert.match(stderr, /the spool cannot be created or written/)
})
