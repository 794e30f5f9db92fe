import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { SmtpClient } from '../../test/support/smtp-client.ts'
import { openDisk } from '../adapters/embedded/embedded.ts'
import { sandboxConfig } from '../config/config.ts'
import { makeSpoolDirectories } from '../spool/spool.ts'
import { drainMsMax } from './limits.ts'
import { openLog } from './log.ts'
import { Supervisor } from './supervisor.ts'
import { noTenants } from '../../test/support/no-tenants.ts'

/** The engine in its threads, and one client. */
async function start(t: TestContext): Promise<{ supervisor: Supervisor; client: SmtpClient }> {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-drain-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const { config } = sandboxConfig(directory, { smtpPort: 0, httpPort: 0, managementPort: 0 })
  makeSpoolDirectories(openDisk(directory), 1)
  const supervisor = new Supervisor({
    ...noTenants(),
    config,
    layout: { intake: 0, deliver: 0 },
    log: openLog({ level: 'error' }),
    sandboxSink: null,
  })
  await supervisor.start()
  return { supervisor, client: await SmtpClient.hello(supervisor.addresses[0]?.port ?? 0) }
}

test('limit app.drain: an idle client is sent away at once, one in mid-content when its third of the time is over', async (t) => {
  assert.ok(drainMsMax.value < 30_000)
  const idle = await start(t)
  await idle.supervisor.stop(drainMsMax.value)
  assert.match(await idle.client.closed(), /^421 4\.3\.2 /)

  const busy = await start(t)
  await busy.client.commands('MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'DATA')
  const begunMs = performance.now()
  await busy.supervisor.stop(900)
  const tookMs = performance.now() - begunMs
  assert.ok(tookMs > 299 && tookMs < drainMsMax.value, `${tookMs} ms`)
  assert.equal(await busy.client.closed(), '')
})
