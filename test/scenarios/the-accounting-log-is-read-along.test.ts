import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { launch } from '../support/posthaste.ts'
import { folder, posthaste, receiver, send, settled, startRelay } from '../support/scenario.ts'
import type { AccountingLine } from '../support/told.ts'
import { until } from '../support/wait.ts'

test('`acct tail --follow` shows a mail as it happens, and `acct query` finds it, whether the program runs or not', async (t) => {
  const directory = folder(t)
  const world = await receiver(t, { rules: [{ for: 'gone@*', rcpt: { reply: '550 5.1.1 no such user' } }] })
  const program = await startRelay(t, { directory, receiver: world, config: 'notices: { enabled: false }\n' })
  const config = ['--config', join(directory, 'posthaste.yaml')]
  const before = await send(program, { from: 'ann@example.com', to: ['ben@example.net'] })
  await settled(program, before, directory)

  const tail = launch(['acct', 'tail', '--follow', '--json', ...config])
  t.after(() => tail.kill())
  const shown = (): AccountingLine[] =>
    tail
      .output()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as AccountingLine)
  await until(10_000, 'what was there is not shown', () => shown().length === 2)
  const id = await send(program, { from: 'ann@example.com', to: ['gone@example.net', 'cid@example.net'] })
  await until(10_000, 'what came is not shown', () => shown().length === 6)
  const story = shown().map((line) => `${line.id} ${line.recipient} ${line.event}`)
  assert.deepEqual(story.slice(0, 2), [`${before} ben@example.net accepted`, `${before} ben@example.net delivered`])
  assert.deepEqual(story.slice(2).sort(), [
    `${id} cid@example.net accepted`,
    `${id} cid@example.net delivered`,
    `${id} gone@example.net accepted`,
    `${id} gone@example.net bounced`,
  ])
  tail.signal('SIGINT')
  await tail.ended

  const query = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await posthaste('acct', 'query', ...args, ...config)
    assert.equal(code, 0, stderr)
    return stdout.toString()
  }
  assert.equal((await query('--id', id, '--json')).split('\n').length, 4 + 1)
  assert.match(
    await query('--id', id, '--event', 'bounced'),
    /bounced .* <ann@example\.com> to <gone@example\.net>: 550 5\.1\.1 no such user/,
  )
  assert.equal(await program.stop(), 0)
  assert.equal((await query('--recipient', '@example.net', '--since', '1h', '--json')).split('\n').length, 6 + 1)
  assert.equal((await posthaste('acct', 'query', '--recipient', 'nobody@example.net', ...config)).code, 1)
})
