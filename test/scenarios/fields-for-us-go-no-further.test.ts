import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { passes, plainVerify } from '../fixtures/sign/plain-verifier.ts'
import { folder, receiver, send, settled, startRelay } from '../support/scenario.ts'

const tag = 'X-Posthaste-Tag: one\r\n'
const folded = 'x-posthaste-metadata:\r\n {"order":\r\n\t"17"}\r\n'
const from = 'From: Ann <ann@example.com>\r\n'
const rest = 'Subject: hello\r\nDate: Sun, 22 Nov 2026 11:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n'

test('fields that speak to us are not sent, wherever they stand, and the signature holds', async (t) => {
  const directory = folder(t)
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const keyFile = join(directory, 'dkim.pem')
  writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  const sink = await receiver(t, {})
  const config = `dkim: [{ domain: example.com, selector: s, private_key_file: ${keyFile} }]\n`
  const program = await startRelay(t, { directory, receiver: sink, config })

  const small = '\r\nHello\r\n..\r\nbye\r\n'
  const large = `\r\n${`${'x'.repeat(98)}\r\n`.repeat(20_000)}`
  for (const [header, expected, body] of [
    [tag + from + rest, from + rest, small],
    [from + rest + tag, from + rest, small],
    [from + folded + rest, from + rest, small],
    [tag + folded + from + tag + rest + tag, from + rest, small],
    [tag + from, from, small],
    [tag + folded + from + tag + rest + tag, from + rest, large],
  ] as const) {
    const id = await send(program, { to: ['ben@example.net'], content: header + body })
    const recipients = await settled(program, id, directory)
    assert.deepEqual(
      recipients.map(({ state }) => state),
      ['delivered'],
    )
    const message = sink.received.at(-1)
    const content = message?.content?.toString('latin1') ?? assert.fail('nothing came')
    assert.ok(content.endsWith(expected + body.replace('\r\n..', '\r\n.')), content.slice(0, 2_000))
    assert.doesNotMatch(content, /x-posthaste/i)
    assert.deepEqual(plainVerify(content, new Map([['s', publicKey]])).map(passes), [true])
    assert.ok(message?.envelope.mailParameters.includes(`SIZE=${content.length}`))
  }
})
