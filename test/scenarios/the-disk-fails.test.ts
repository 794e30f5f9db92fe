import assert from 'node:assert/strict'
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { folder, letter, receiver, startRelay } from '../support/scenario.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { until } from '../support/wait.ts'

const content = letter('load', `${'x'.repeat(70)}\r\n`.repeat(10_000))

/** The code of the reply that decides; 0 when the connection is cut. */
async function trySend(port: number, to: string): Promise<number> {
  try {
    const client = await SmtpClient.hello(port)
    const codes = [`MAIL FROM:<me@example.com>`, `RCPT TO:<${to}>`, 'DATA']
    for (const line of codes) {
      const { code } = await client.command(line)
      if (code >= 400) return code
    }
    client.send(content)
    const { code } = await client.command('.')
    client.destroy()
    return code
  } catch {
    return 0
  }
}

// The log's folder vanishes, as a disk does that is unmounted or dies: files that are open stay, the next one cannot be made.
test('when the disk fails nothing more is acknowledged; when it works again mail flows, and what was acknowledged arrives', async (t) => {
  const directory = folder(t)
  const sink = await receiver(t, {}, { keep: 'digest' })
  const program = await startRelay(t, {
    directory,
    receiver: sink,
    config: 'spool: { segment_size: 4MiB, window_size: 4MiB, reserve: 0B }\n',
  })
  const log = join(directory, 'data/spool/intake-0')
  const ready = async (): Promise<{ code: number; text: string }> => {
    const answer = await fetch(`http://127.0.0.1:${program.managementPort}/readyz`)
    return { code: answer.status, text: await answer.text() }
  }
  let next = 0
  const acknowledged = new Set<string>()
  const sendOne = async (): Promise<number> => {
    const to = `reader${next++}@example.net`
    const code = await trySend(program.smtpPort, to)
    if (code === 250) acknowledged.add(to)
    return code
  }
  assert.equal(await sendOne(), 250)

  renameSync(log, `${log}.gone`)
  let code = 250
  for (let i = 0; i < 100 && code === 250; i++) code = await sendOne()
  assert.equal(code, 451, 'whoever waited for the disk is told')
  assert.equal((await ready()).code, 503)
  assert.match((await ready()).text, /the disk failed under log intake-0/)
  await until(5_000, 'the API says so too', async () => {
    const answer = await fetch(`http://127.0.0.1:${program.httpPort}/api/v1/emails`, { method: 'POST' }).catch(
      () => null,
    )
    return (
      answer?.status === 503 &&
      answer.headers.get('retry-after') === '30' &&
      (await answer.text()).includes('spool_broken')
    )
  })
  renameSync(`${log}.gone`, log)

  await until(10_000, 'it says that it is ready', async () => (await ready()).code === 200)
  await until(10_000, 'mail is taken again', async () => (await sendOne()) === 250)
  const arrived = (): Set<string> => new Set(sink.received.flatMap(({ envelope }) => envelope.to))
  await until(10_000, 'what was acknowledged arrives', () => acknowledged.isSubsetOf(arrived()))
  assert.ok(acknowledged.size > 2)
  assert.equal(await program.stop(), 0)
})
