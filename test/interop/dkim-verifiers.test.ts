/** The rig itself: mail signed by somebody else verifies in it, and mail that was changed does not. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { dkimverify, opendkimTestmsg } from './support/dkim-verifiers.ts'
import { finished } from './support/resolving.ts'

test('mail signed by dkimpy verifies with both, and not after a change', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-dkim-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const keyFile = join(directory, 'key.pem')
  writeFileSync(keyFile, privateKey.export({ type: 'pkcs1', format: 'pem' }))
  const zone = {
    'one._domainkey.example.com': {
      TXT: [`v=DKIM1; k=rsa; p=${publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`],
    },
  }
  const plain = Buffer.from(
    'From: Ann <ann@example.com>\r\nTo: ben@example.net\r\nDate: Sun, 22 Nov 2026 11:00:00 +0000\r\nSubject: lunch\r\n\r\nAt noon?\r\n',
  )
  const signed = await finished('dkimsign', ['one', 'example.com', keyFile], plain)
  assert.equal(signed.exitCode, 0, signed.output)
  const message = Buffer.from(signed.output)
  const changed = Buffer.from(signed.output.replace('noon', 'four'))

  assert.match((await dkimverify(message, zone)).output, /signature ok/)
  assert.deepEqual(await opendkimTestmsg(message, zone), { exitCode: 0, output: '' })
  assert.match((await dkimverify(changed, zone)).output, /body hash mismatch/)
  assert.notEqual((await opendkimTestmsg(changed, zone)).exitCode, 0)
  assert.notEqual((await opendkimTestmsg(message, {})).exitCode, 0)
})
