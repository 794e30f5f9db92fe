import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folder, letter, receiver, startRelay } from '../support/scenario.ts'
import { SmtpClient } from '../support/smtp-client.ts'

/** The commands, whose recipients are all accepted, and a message. */
async function handOver(port: number, mail: string, rcpts: readonly string[]): Promise<void> {
  const client = await SmtpClient.hello(port)
  client.send([mail, ...rcpts, 'DATA\r\n'].join('\r\n'))
  for (let replies = rcpts.length + 1; replies > 0; replies--) assert.equal((await client.reply()).code, 250)
  assert.equal((await client.reply()).code, 354)
  client.send(`${letter('hello')}.\r\n`)
  assert.equal((await client.reply()).code, 250)
  client.destroy()
}

test('what a sender asks to be told reaches receivers that offer DSN, by way of all threads, and no others', async (t) => {
  const directory = folder(t)
  const modern = await receiver(t, { offer: ['DSN'] })
  const old = await receiver(t, {})
  const routes = `
  - { domain: new.test, host: 127.0.0.1, port: ${modern.port} }
  - { domain: old.test, host: 127.0.0.1, port: ${old.port} }
`
  const program = await startRelay(t, { directory, routes, config: 'threads: { intake: 1, deliver: 1 }\n' })
  await handOver(program.smtpPort, 'MAIL FROM:<ann@example.com> ENVID=a+2Bb RET=hdrs', [
    'RCPT TO:<ben+x@new.test> NOTIFY=success,delay',
    'RCPT TO:<cid@old.test> NOTIFY=SUCCESS ORCPT=rfc822;x@y',
    'RCPT TO:<dan@new.test>',
  ])
  await Promise.all([modern.untilMessages(1), old.untilMessages(1)])
  const [told, untold] = [modern.received[0]?.envelope, old.received[0]?.envelope]
  assert.deepEqual(told?.mailParameters.slice(1), ['RET=HDRS', 'ENVID=a+2Bb'])
  assert.deepEqual(told?.to, ['ben+x@new.test', 'dan@new.test'])
  assert.deepEqual(told?.rcptParameters, [['NOTIFY=SUCCESS,DELAY', 'ORCPT=rfc822;ben+2Bx@new.test'], []])
  assert.deepEqual([untold?.mailParameters.slice(1), untold?.rcptParameters], [[], [[]]])
})

test('the largest envelope that there can be, each recipient with 500 octets of ORCPT, arrives with all of it', async (t) => {
  const modern = await receiver(t, { offer: ['DSN'] })
  const program = await startRelay(t, { directory: folder(t), receiver: modern })
  // Quotes and backslashes take twice their room where they are kept.
  const original = `rfc822;${'"\\'.repeat(246)}x`
  const domain = `${'d'.repeat(60)}.`.repeat(3) + 'test'
  const addresses = Array.from({ length: 1_000 }, (_, i) => `${String(i).padStart(64, 'n')}@${domain}`)
  await handOver(
    program.smtpPort,
    `MAIL FROM:<ann@example.com> RET=FULL ENVID=${'"'.repeat(100)}`,
    addresses.map((address) => `RCPT TO:<${address}> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=${original}`),
  )
  await modern.untilMessages(10)
  const got = modern.received.flatMap(({ envelope }) => envelope.rcptParameters.map((parameters) => parameters[1]))
  assert.deepEqual(got, Array(1_000).fill(`ORCPT=${original}`))
})
