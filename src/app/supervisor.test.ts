import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { noTenants } from '../../test/support/no-tenants.ts'
import { condition } from '../../test/support/condition.ts'
import { openDisk } from '../adapters/embedded/embedded.ts'
import { sandboxConfig } from '../config/config.ts'
import { makeSpoolDirectories } from '../spool/spool.ts'
import type { Log } from './log.ts'
import { Supervisor } from './supervisor.ts'

test('what is revoked right after a disk has failed is revoked for the threads that are still there', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-supervisor-'))
  const { config } = sandboxConfig(directory, { smtpPort: 0, httpPort: 0, managementPort: 0 })
  makeSpoolDirectories(openDisk(directory), 1)
  const taken: unknown[] = []
  const ignore = (): void => {}
  const info = (fields: object): void => {
    if ('taken' in fields) taken.push(fields.taken)
  }
  const supervisor = new Supervisor({
    ...noTenants(),
    config: { ...config, store: { ...config.store, enabled: false } },
    layout: { intake: 0, deliver: 0 },
    log: { info, error: ignore, warn: ignore, fatal: ignore } as unknown as Log,
    sandboxSink: null,
    entries: { scheduler: new URL('../../test/support/breaking-scheduler.ts', import.meta.url) },
  })
  t.after(async () => {
    await supervisor.stop(0)
    rmSync(directory, { recursive: true, maxRetries: 5, retryDelay: 100 })
  })
  await supervisor.start()
  const tenant = { id: 'one', name: 'one', keys: [], logins: [], networks: [], domains: [], senders: [], streams: [] }
  await supervisor.takeChange({ version: 2, intake: tenant, preparing: tenant })
  await condition(() => supervisor.state === 'degraded')

  await supervisor.takeChange({ version: 3, intake: tenant, preparing: tenant })

  assert.deepEqual(taken, [1, 2])
})
