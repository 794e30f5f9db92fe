/** Checks of certificates and keys: what would fail at the first handshake or signature is refused before anything listens. */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { dayMs } from '../kernel/units.ts'
import { rsaBitsMax, rsaBitsMin } from '../standards/limits.ts'

export type Verdict = { readonly what: string; readonly cure: string } | null

const expiresSoonMs = 14 * dayMs

export function checkDkimKey(pem: string): Verdict {
  const key = parseKey(pem)
  if ('what' in key) return key
  if (key.asymmetricKeyType === 'ed25519') return null
  const cure = 'Make one: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048, or -algorithm ed25519.'
  if (key.asymmetricKeyType !== 'rsa')
    return { what: `is a key of type ${key.asymmetricKeyType}, which DKIM does not know`, cure }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (bits < rsaBitsMin.value) return { what: `is an RSA key of ${bits} bits, which receivers do not trust`, cure }
  return bits <= rsaBitsMax.value
    ? null
    : { what: `is an RSA key of ${bits} bits, which receivers need not take`, cure }
}

export interface CertificateVerdict {
  /** On which of the two files the problem lies. */
  readonly certificate: Verdict
  readonly key: Verdict
  readonly warnings: readonly string[]
}

/** An expired certificate is a warning: most senders do not judge it, and no mail at all is worse. */
export function checkCertificate(
  certificatePem: string,
  keyPem: string,
  hostname: string,
  nowMs: number,
): CertificateVerdict {
  const key = parseKey(keyPem)
  const keyVerdict = 'what' in key ? key : null
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(certificatePem)
  } catch {
    const what = 'holds no certificate in PEM form'
    return {
      certificate: { what, cure: 'It must begin with -----BEGIN CERTIFICATE-----.' },
      key: keyVerdict,
      warnings: [],
    }
  }
  if ('what' in key) return { certificate: null, key: keyVerdict, warnings: [] }
  const about = certificate.subjectAltName ?? certificate.subject
  if (!certificate.checkPrivateKey(key)) {
    const cure = 'Name the key that the certificate was issued for, with the server’s certificate first in its file.'
    return { certificate: null, key: { what: `does not belong to the certificate (${about})`, cure }, warnings: [] }
  }
  return { certificate: null, key: null, warnings: certificateWarnings(certificate, about, hostname, nowMs) }
}

function certificateWarnings(certificate: X509Certificate, about: string, hostname: string, nowMs: number): string[] {
  const warnings: string[] = []
  const fromMs = certificate.validFromDate.getTime()
  const toMs = certificate.validToDate.getTime()
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10)
  if (toMs < nowMs)
    warnings.push(`the certificate expired on ${day(toMs)}: clients that verify it refuse to send. Renew it.`)
  else if (toMs < nowMs + expiresSoonMs) warnings.push(`the certificate expires on ${day(toMs)}. Renew it.`)
  if (fromMs > nowMs) warnings.push(`the certificate is not valid before ${day(fromMs)}. Check the clock.`)
  if (certificate.checkHost(hostname) === undefined) {
    warnings.push(`the certificate is not for ${hostname} (but for ${about}): clients that verify it refuse to send.`)
  }
  return warnings
}

function parseKey(pem: string): KeyObject | { what: string; cure: string } {
  if (/ENCRYPTED/.test(pem))
    return { what: 'is protected by a passphrase', cure: 'Take it off: openssl pkey -in OLD -out NEW.' }
  try {
    return createPrivateKey(pem)
  } catch {
    return { what: 'holds no private key in PEM form', cure: 'It must begin with -----BEGIN PRIVATE KEY-----.' }
  }
}
