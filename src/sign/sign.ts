/**
 * Stage 7, sign: DKIM-Signature fields for a finished message.
 *
 *   in   the From domain and the tenant, then the body in any split, then the header block; keys of the configuration file, and those of
 *        the directory as they change
 *   out  one field per key of that domain, RSA before Ed25519, to be put in front of the message
 *
 * Always true:
 *   1. The same message, key and time give the same bytes: PKCS#1 v1.5 and Ed25519 have no randomness.
 *   2. The whole body is covered: no `l=`, under which anybody may append (RFC 6376 §8.2).
 *   3. A field that readers trust cannot be added behind our back: it is listed once more often than it is there (§5.4).
 *   4. Signing is synchronous. The libuv pool belongs to those who wait for disks.
 *   5. A tenant's key in the directory signs that tenant's mail only. A key of the file signs for whoever may send as its domain: the
 *      operator put it there, and tenancy has let the sender in.
 *
 * RFC 6376 (DKIM), 8301 (SHA-256, RSA from 2048 bits), 8463 (Ed25519).
 */
import { PosthasteError } from '../kernel/errors.ts'
import type { DkimKeyConfig } from '../config/compiled.ts'
import type { PreparingTenant } from '../ports/directory.ts'
import type { Signer, Signing } from '../ports/signer.ts'
import { loadKey } from './key.ts'
import type { SigningKey } from './key.ts'
import { MessageSigning } from './signing.ts'
import { TenantKeys } from './tenant-keys.ts'

export * as signLimits from './limits.ts'

export interface LiveSigner extends Signer {
  /** Takes a tenant's keys of the directory as they are now, in place of those that it had. */
  put(tenant: PreparingTenant): void
}

/** Loads all keys of the file, and throws a PosthasteError for the first one that verifiers would refuse. */
export function createSigner(fileKeys: readonly DkimKeyConfig[]): LiveSigner {
  const byDomain = keysByDomain(fileKeys)
  const tenantKeys = new TenantKeys()
  return {
    put: (tenant) => tenantKeys.put(tenant),
    forDomain(fromDomain: string, tenant: string): Signing | null {
      // A parent may sign for its children: DMARC aligns both under one organisational domain (RFC 7489 §3.1.1).
      for (let domain = fromDomain; domain !== ''; domain = parentOf(domain)) {
        const keys = tenantKeys.find(tenant, domain, fromDomain) ?? byDomain.get(domain)
        if (keys !== undefined) return new MessageSigning(keys)
      }
      return null
    },
  }
}

function keysByDomain(keys: readonly DkimKeyConfig[]): ReadonlyMap<string, readonly SigningKey[]> {
  const byDomain = new Map<string, SigningKey[]>()
  for (const config of keys) {
    const key = loadKey(config)
    const ofDomain = byDomain.get(key.domain) ?? []
    if (ofDomain.some((other) => other.selector === key.selector)) {
      throw new PosthasteError(
        'dkim_key_twice',
        `DKIM selector ${key.selector} of ${key.domain} is configured twice`,
        'Keep one of the two entries, or give the second key a selector and a DNS record of its own.',
        { exitCode: 78 },
      )
    }
    ofDomain.push(key)
    byDomain.set(key.domain, ofDomain)
  }
  // Verifiers that do not know Ed25519 yet meet the RSA signature first.
  for (const ofDomain of byDomain.values()) ofDomain.sort((a, b) => a.rank - b.rank)
  return byDomain
}

function parentOf(domain: string): string {
  const dot = domain.indexOf('.')
  return dot < 0 ? '' : domain.slice(dot + 1)
}
