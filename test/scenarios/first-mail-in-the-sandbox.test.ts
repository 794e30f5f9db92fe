import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asked, folder, posthaste, send, settled, startSandbox } from '../support/scenario.ts'

interface Page {
  readonly messages: readonly { id: string; from: string; to: string[]; subject: string }[]
}

interface Shown {
  readonly id: string
  readonly recipients: readonly { readonly address: string; readonly state: string }[]
}

test('a stranger starts the sandbox, sends a mail by SMTP, and finds it captured, whole and accounted for', async (t) => {
  const sandbox = await startSandbox(t, folder(t))
  assert.match(sandbox.output(), /sandbox: no mail leaves this machine/)

  const content = 'From: me@example.com\r\nSubject: first mail\r\n\r\n.hello\r\n'
  const id = await send(sandbox, { to: ['ann@example.net'], content: content.replace('\r\n.', '\r\n..') })
  await settled(sandbox, id)

  const { messages } = await asked<Page>(sandbox, 'sandbox', 'list')
  const seen = messages.map(({ from, to, subject }) => ({ from, to, subject }))
  assert.deepEqual(seen, [{ from: 'me@example.com', to: ['ann@example.net'], subject: 'first mail' }])

  const shown = await asked<Shown>(sandbox, 'message', 'show', id)
  assert.deepEqual(
    [shown.id, ...shown.recipients.map(({ address, state }) => `${address} ${state}`)],
    [id, 'ann@example.net delivered'],
  )

  const port = String(sandbox.managementPort)
  const raw = await posthaste('sandbox', 'raw', messages[0]?.id ?? '', '--management-port', port)
  assert.match(raw.stdout.toString(), /^Received: from /)
  assert.ok(raw.stdout.toString().endsWith(content), 'the bytes that were sent stand behind the added fields')
  assert.equal(await sandbox.stop(), 0)
})
