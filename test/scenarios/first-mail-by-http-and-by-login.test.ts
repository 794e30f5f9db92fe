import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTransport } from 'nodemailer'
import { asked, folder, startSandbox } from '../support/scenario.ts'
import { until } from '../support/wait.ts'

interface Credentials {
  readonly key: string
  readonly user: string
  readonly password: string
}

interface Email {
  readonly status: string
  readonly subject: string
  readonly recipients: readonly { readonly email: string; readonly smtp_code: number }[]
}

test('with what the sandbox prints at its start, a first mail goes by HTTP and one by SMTP login, and both are told of', async (t) => {
  const program = await startSandbox(t, folder(t))
  const { key, user, password } = await asked<Credentials>(program, 'sandbox', 'credentials')
  assert.ok(program.output().includes(key) && program.output().includes(password))
  const api = `http://127.0.0.1:${program.httpPort}/api/v1/emails`
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }

  const body = JSON.stringify({ from: 'ann@example.com', to: 'ben@example.net', subject: 'by HTTP', text: 'Hello' })
  const answer = await fetch(api, { method: 'POST', headers, body })
  assert.equal(answer.status, 202)
  const byHttp = ((await answer.json()) as { id: string }).id

  const auth = { user, pass: password }
  const transport = createTransport({ host: '127.0.0.1', port: program.smtpPort, ignoreTLS: true, auth })
  const sent = await transport.sendMail({
    from: 'ann@example.com',
    to: 'eve@example.net',
    subject: 'by login',
    text: 'Hello',
  })
  const byLogin = /[0-9a-f-]{36}/.exec(sent.response)?.[0] ?? ''

  const show = async (id: string): Promise<Email> => (await (await fetch(`${api}/${id}`, { headers })).json()) as Email
  for (const [id, subject, email] of [
    [byHttp, 'by HTTP', 'ben@example.net'],
    [byLogin, 'by login', 'eve@example.net'],
  ] as const) {
    await until(5_000, `"${subject}" is delivered`, async () => (await show(id)).status === 'delivered')
    const { recipients, subject: shown } = await show(id)
    assert.deepEqual([shown, recipients.map((one) => [one.email, one.smtp_code])], [subject, [[email, 250]]])
  }
  const captured = await asked<{ messages: { subject: string }[] }>(program, 'sandbox', 'list')
  assert.deepEqual(captured.messages.map(({ subject }) => subject).sort(), ['by HTTP', 'by login'])
  assert.equal(await program.stop(), 0)
})
