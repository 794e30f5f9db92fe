import assert from 'node:assert/strict'
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { folder, operator, receiver, send, settled, startRelay } from '../support/scenario.ts'
import type { Posthaste } from '../support/posthaste.ts'
import { accountingLines } from '../support/told.ts'
import { until } from '../support/wait.ts'

// A file stands where its directory was, because permissions stop nobody who runs the tests as root. What a disk says that has no room is told in src/events/accounting.
test('while acct.json cannot be written mail is accepted and delivered, `status` says so; when it can be again no line is missing', async (t) => {
  const directory = folder(t)
  const accounting = join(directory, 'data/accounting')
  const world = await receiver(t, {})
  const start = () => startRelay(t, { directory, receiver: world })
  let program = await start()
  const sent: string[] = []
  const deliver = async (): Promise<void> => {
    const id = await send(program, { to: ['ann@example.net', 'bob@example.org'] })
    sent.push(id)
    const states = (await settled(program, id, directory)).map(({ state }) => state)
    assert.deepEqual(states, ['delivered', 'delivered'])
  }

  await deliver()
  await until(5_000, 'no lines', () => accountingLines(directory).length === 4)
  renameSync(accounting, `${accounting}.away`)
  writeFileSync(accounting, '')
  await deliver()
  await until(10_000, 'nobody is told', async () => (await accountingOf(program, directory)) !== null)
  const told = await accountingOf(program, directory)
  assert.match(
    told ?? '',
    /^accounting +acct\.json cannot be written \(.+\); [1-9].* wait for it in the logs, and mail goes on$/,
  )
  assert.match(program.output(), /acct\.json cannot be written: /)

  // Neither a start nor a drain waits for it.
  await program.kill()
  program = await start()
  await deliver()
  assert.equal(await program.stop(), 0)
  program = await start()
  await deliver()

  rmSync(accounting)
  renameSync(`${accounting}.away`, accounting)
  await until(15_000, 'lines are missing', () => accountingLines(directory).length >= 4 * sent.length)
  await until(5_000, 'it is said still', async () => (await accountingOf(program, directory)) === null)
  assert.equal(await program.stop(), 0)
  const story = accountingLines(directory).map(({ id, event, recipient }) => `${id} ${recipient} ${event}`)
  const expected = sent.flatMap((id) =>
    ['accepted', 'delivered'].flatMap((event) =>
      ['ann@example.net', 'bob@example.org'].map((recipient) => `${id} ${recipient} ${event}`),
    ),
  )
  assert.deepEqual(story.sort(), expected.sort())
})

/** Its line of `posthaste status`; null when there is none. */
async function accountingOf(program: Posthaste, directory: string): Promise<string | null> {
  const status = await operator(program, directory)('status')
  return /^accounting .*$/m.exec(status)?.[0] ?? null
}
