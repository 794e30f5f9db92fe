import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folder, receiver, send, settled, startRelay } from '../support/scenario.ts'
import { SmtpClient } from '../support/smtp-client.ts'

test('SIGTERM lets a slow delivery finish, sends idle clients away with 421, and ends with 0', async (t) => {
  const directory = folder(t)
  const slow = await receiver(t, { rules: [{ for: '*', final: { latencyMs: 600 } }] })
  const program = await startRelay(t, { directory, receiver: slow })
  const idle = await SmtpClient.hello(program.smtpPort)
  const id = await send(program, { to: ['ann@example.net'] })
  await slow.untilMessages(1)

  const exitCode = program.stop()

  assert.equal((await idle.reply()).codes, '421 4.3.2')
  assert.equal(await exitCode, 0)
  const next = await startRelay(t, { directory, receiver: slow })
  const [ann] = await settled(next, id, directory)
  assert.deepEqual([ann?.state, ann?.attempts.length, ann?.may_be_duplicate], ['delivered', 1, false])
  assert.equal(slow.counters.messages, 1)
})
