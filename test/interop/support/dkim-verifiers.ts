/** Two verifiers that know nothing of us: dkimpy's dkimverify and OpenDKIM's opendkim-testmsg. */
import type { FakeZone } from '../../support/fake-dns.ts'
import { type Finished, runResolving } from './resolving.ts'

/** dkimpy judges one signature at a time; 0 is the topmost. Exit code 0 and "signature ok" when it verifies. */
export function dkimverify(message: Buffer, zone: FakeZone, index = 0): Promise<Finished> {
  return runResolving(zone, ['dkimverify', '--index', String(index)], message)
}

/**
 * Debian's OpenDKIM knows RSA only and passes over an Ed25519 signature. Silent and exit code 0 when one verifies. A message without
 * Date is a "Syntax error" to it (RFC 5322 §3.6 asks for one).
 */
export function opendkimTestmsg(message: Buffer, zone: FakeZone): Promise<Finished> {
  return runResolving(zone, ['opendkim-testmsg'], message)
}
