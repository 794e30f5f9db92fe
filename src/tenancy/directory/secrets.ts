/**
 * Secrets that we make: API keys, SMTP passwords, the tokens of links.
 *
 *   ph_live_kq3v5x…7a2m_0aB3xZ
 *   │  │    │           └ CRC-32 of everything before the underscore, base62, 6 digits
 *   │  │    └ 160 random bits, base32 (RFC 4648 §6, lower case), 32 characters
 *   │  └ what it is for: live, an API key; smtp, a password; link, the proof of an address
 *   └ ours
 *
 * The prefix lets scanners find secrets that were published by mistake, /\bph_(live|smtp|link)_[a-z2-7]{32}_[0-9A-Za-z]{6}\b/, and the checksum
 * sorts out what only looks like one: a typo is told from a revoked key without a look at the directory. 160 bits cannot be guessed or tabled, so one
 * SHA-256 keeps them.
 */
import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { Random } from '../../kernel/random.ts'

export type SecretKind = 'live' | 'smtp' | 'link'

const base32 = 'abcdefghijklmnopqrstuvwxyz234567'
const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

export function createSecret(kind: SecretKind, random: Random): string {
  const body = `ph_${kind}_${randomText(random, 32)}`
  return `${body}_${checksum(body)}`
}

/** So many characters of 5 random bits each. */
export function randomText(random: Random, characters: number): string {
  const bytes = Buffer.alloc(characters)
  random.fill(bytes)
  let text = ''
  // 256 is a multiple of 32, so that every character is as likely as any other.
  for (const byte of bytes) text += base32[byte & 31] as string
  return text
}

/** Whole, and of this kind: nothing is known of whether it opens anything. */
export function isSecret(kind: SecretKind, text: string): boolean {
  if (!/^ph_[a-z]{4}_[a-z2-7]{32}_[0-9A-Za-z]{6}$/.test(text) || !text.startsWith(kind, 3)) return false
  const body = text.slice(0, -7)
  return text.slice(-6) === checksum(body)
}

/** Hex. */
export function sha256(secret: string): string {
  return hash('sha256', secret, 'hex')
}

/** As people see them at the end of their key. */
export function lastFourOf(secret: string): string {
  return secret.slice(-4)
}

/** CRC-32 finds every error within 32 bits, and so every wrong character. 62⁶ > 2³². */
function checksum(body: string): string {
  let rest = crc32(body)
  let text = ''
  for (let i = 0; i < 6; i++) {
    text = (base62[rest % 62] as string) + text
    rest = Math.floor(rest / 62)
  }
  return text
}
