/** Keys for signing, and the records that verifiers look for. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FakeZone } from '../../support/fake-dns.ts'

/** Writes the private half to the directory, the record into the zone; the file. */
export function makeKey(directory: string, zone: FakeZone, domain: string, kind: 'rsa' | 'ed25519'): string {
  const file = join(directory, `${domain}-${kind}.pem`)
  const { privateKey, publicKey } =
    kind === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519')
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  Object.assign(zone, {
    [`${kind}._domainkey.${domain}`]: { TXT: [`v=DKIM1; k=${kind}; p=${publishedKey(publicKey, kind)}`] },
  })
  return file
}

/** RFC 6376 §3.6.1: RSA as SubjectPublicKeyInfo; RFC 8463 §4: Ed25519 as its bare 32 bytes, which end that structure. */
function publishedKey(key: KeyObject, kind: 'rsa' | 'ed25519'): string {
  const info = key.export({ type: 'spki', format: 'der' })
  return (kind === 'rsa' ? info : info.subarray(-32)).toString('base64')
}
