import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Posthaste } from '../support/posthaste.ts'
import { folder, operator, startSandbox } from '../support/scenario.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { dayLasts, until } from '../support/wait.ts'

interface Credentials {
  readonly key: string
  readonly user: string
  readonly password: string
}

async function post(program: Posthaste, key: string, recipients: number): Promise<Response> {
  const to = Array.from({ length: recipients }, (_, i) => `ann${i}@example.net`)
  return await fetch(`http://127.0.0.1:${program.httpPort}/api/v1/emails`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({ from: 'ann@example.com', to, subject: 'hello', text: 'hello' }),
  })
}

/** By SMTP with its login; the replies to two recipients. */
async function rcpts(program: Posthaste, { user, password }: Credentials): Promise<string[]> {
  const client = await SmtpClient.hello(program.smtpPort)
  const login = Buffer.from(`\0${user}\0${password}`).toString('base64')
  assert.equal(await client.commands(`AUTH PLAIN ${login}`, 'MAIL FROM:<ann@example.com>'), '250 2.1.0')
  const replies: string[] = []
  for (const name of ['one', 'two']) {
    const { codes, text } = await client.command(`RCPT TO:<${name}@example.net>`)
    replies.push(`${codes} ${text}`)
  }
  client.destroy()
  return replies
}

test('five a day are five, with SIGTERM and kill -9 in between; raising it helps at once', async (t) => {
  await dayLasts(45_000)
  const directory = folder(t)
  let program = await startSandbox(t, directory)
  let run = operator(program, directory)
  const credentials = JSON.parse(await run('sandbox', 'credentials', '--json')) as Credentials
  const { key } = credentials
  const restart = async (): Promise<void> => {
    program = await startSandbox(t, directory)
    run = operator(program, directory)
  }
  /** What is left of today, by whoever asks. */
  const isRefused = async (): Promise<void> => {
    // A moment after a crash it may have to be counted first.
    let answer = await post(program, key, 1)
    await until(5_000, 'it is not counted', async () => {
      if (answer.status === 503) answer = await post(program, key, 1)
      return answer.status !== 503
    })
    const { status, headers } = answer
    const problem = (await answer.json()) as { readonly code: string; readonly detail: string }
    assert.deepEqual([status, problem.code], [429, 'quota_exceeded'], JSON.stringify(problem))
    assert.match(problem.detail, /5 messages a day/)
    assert.deepEqual([headers.get('ratelimit-limit'), headers.get('ratelimit-remaining')], ['5', '0'])
    assert.ok(Number(headers.get('retry-after')) > 0)
    for (const reply of await rcpts(program, credentials)) assert.match(reply, /^452 4\.7\.1 .*5 messages a day/)
    assert.match(await run('tenant', 'quota', 'demo'), /messages today \(UTC\) +5 +5\n/)
  }

  await run('tenant', 'quota', 'demo', '--per-day', '5')
  assert.equal((await post(program, key, 2)).status, 202)
  const [first, second] = await rcpts(program, credentials)
  assert.match(`${first} ${second}`, /^250 .* 250 /, 'a recipient counts when the message is accepted')
  assert.equal((await post(program, key, 4)).status, 429, 'all or none')
  assert.equal((await post(program, key, 3)).status, 202)
  await isRefused()

  assert.equal(await program.stop(), 0)
  await restart()
  await isRefused()
  await program.kill()
  await restart()
  await isRefused()

  await run('tenant', 'quota', 'demo', '--per-day', '7')
  assert.equal((await post(program, key, 2)).status, 202)
  assert.equal((await post(program, key, 1)).status, 429)
  await run('tenant', 'quota', 'demo', '--clear')
  assert.equal((await post(program, key, 1)).status, 202)
})
