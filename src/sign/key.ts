/** A DKIM private key, ready to sign: loaded once, and refused at start rather than by every receiver. */
import { createPrivateKey, hash, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { PosthasteError } from '../kernel/errors.ts'
import type { DkimKeyConfig } from '../config/compiled.ts'
import { rsaBitsMax, rsaBitsMin } from '../standards/limits.ts'

export interface SigningKey {
  /** Lower case, for `d=`. */
  readonly domain: string
  readonly selector: string
  /** For `a=`. */
  readonly algorithm: 'rsa-sha256' | 'ed25519-sha256'
  /** Signatures stand in this order. */
  readonly rank: number
  readonly signatureBytes: number
  sign(data: Uint8Array): Buffer
}

/** RFC 6376 §3.5: both are made of labels, with which nothing can break out of its tag. */
const domainPattern = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*$/
const selectorPattern = /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9][A-Za-z0-9_-]{0,62})*$/

/** @throws PosthasteError that names domain, selector and cure */
export function loadKey(config: DkimKeyConfig): SigningKey {
  const domain = config.domain.toLowerCase()
  const { selector } = config
  if (!domainPattern.test(domain)) {
    throw refused(
      config,
      'the domain is not a host name',
      'Write the domain in ASCII (xn--… for others), without a final dot.',
    )
  }
  if (!selectorPattern.test(selector)) {
    throw refused(config, 'the selector is not a DNS label', 'Use letters, digits and hyphens, such as "mail2026".')
  }
  const key = parse(config)
  if (key.asymmetricKeyType === 'ed25519') {
    return {
      domain,
      selector,
      algorithm: 'ed25519-sha256',
      rank: 1,
      signatureBytes: 64,
      // RFC 8463 §3: Ed25519 signs the SHA-256 of the data, not the data.
      sign: (data) => sign(null, hash('sha256', data, 'buffer'), key),
    }
  }
  if (key.asymmetricKeyType !== 'rsa') {
    throw refused(config, `keys of type ${key.asymmetricKeyType} are not for DKIM`, `Make an RSA key: ${opensslRsa}`)
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (bits < rsaBitsMin.value || bits > rsaBitsMax.value) {
    const range = `${rsaBitsMin.value} to ${rsaBitsMax.value} bits`
    throw refused(config, `an RSA key of ${bits} bits is not accepted, only ${range}`, `Make a new key: ${opensslRsa}`)
  }
  return {
    domain,
    selector,
    algorithm: 'rsa-sha256',
    rank: 0,
    signatureBytes: Math.ceil(bits / 8),
    sign: (data) => sign('sha256', data, key),
  }
}

const opensslRsa = '"openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048", and publish its public half.'

function parse(config: DkimKeyConfig): KeyObject {
  try {
    return createPrivateKey(config.privateKeyPem)
  } catch (cause) {
    throw refused(
      config,
      'its private key cannot be read',
      'Give an unencrypted PEM file that begins with "-----BEGIN PRIVATE KEY-----" or "-----BEGIN RSA PRIVATE KEY-----".',
      cause,
    )
  }
}

function refused(config: DkimKeyConfig, why: string, cure: string, cause?: unknown): PosthasteError {
  const which = `DKIM key ${JSON.stringify(config.selector)} of ${JSON.stringify(config.domain)}`
  return new PosthasteError('dkim_key_refused', `${which}: ${why}`, cure, { exitCode: 78, cause })
}
