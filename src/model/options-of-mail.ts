/**
 * What a client may say about its mail beside envelope and content, under the same rules by SMTP and by HTTP. Every `check…` returns null
 * when a value is right, otherwise what is wrong with it: words that fit a reply, and that never repeat the value.
 */
import { formatDuration, parseDuration, secondMs } from '../kernel/units.ts'
import {
  campaignCharactersMax,
  expiresInMsMax,
  expiresInMsMin,
  idempotencyKeyCharactersMax,
  metadataBytesMax,
  metadataKeyCharactersMax,
  metadataKeysMax,
  metadataValueCharactersMax,
  tagCharactersMax,
  tagsMax,
} from './limits.ts'
import type { MailClass } from './submission.ts'

export const mailClasses: readonly MailClass[] = ['urgent', 'transactional', 'bulk']

/** Null when it is none. */
export function mailClassOf(text: string): MailClass | null {
  return mailClasses.find((mailClass) => mailClass === text) ?? null
}

/** Whether it could be a stream's name; the client need not have one of that name. */
export function checkStream(name: string): string | null {
  return /^[a-z0-9][a-z0-9_-]{0,62}$/.test(name)
    ? null
    : 'a name of a stream has up to 63 of a-z, 0-9, "-" and "_", and begins with a letter or digit'
}

export function checkCampaign(name: string): string | null {
  return checkLabel(name, campaignCharactersMax.value)
}

/** All tags of a message. */
export function checkTags(tags: readonly string[]): string | null {
  if (tags.length > tagsMax.value) return `there are more than ${tagsMax.value} tags`
  for (const tag of tags) {
    const problem = checkTag(tag)
    if (problem !== null) return problem
  }
  return null
}

export function checkTag(tag: string): string | null {
  return tag.includes(',') ? 'a comma ends a tag and cannot be in it' : checkLabel(tag, tagCharactersMax.value)
}

/** `value` may be anything that JSON gives. It is right when it is an object of strings; numbers are refused because JSON rounds long ones. */
export function checkMetadata(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'it is not a JSON object'
  const entries = Object.entries(value)
  if (entries.length > metadataKeysMax.value) return `there are more than ${metadataKeysMax.value} keys`
  for (const [key, text] of entries) {
    const problem = checkMetadataKey(key) ?? checkMetadataValue(text)
    if (problem !== null) return problem
  }
  return Buffer.byteLength(metadataText(value)) > metadataBytesMax.value
    ? `it is longer than ${metadataBytesMax.value} bytes as JSON`
    : null
}

/** As it is kept, once checked: '' when there is none. */
export function metadataText(value: object): string {
  return Object.keys(value).length === 0 ? '' : JSON.stringify(value)
}

function checkMetadataKey(key: string): string | null {
  if (key.length > metadataKeyCharactersMax.value)
    return `a key is longer than ${metadataKeyCharactersMax.value} characters`
  // A letter first: neither a number, which would change the order, nor "__proto__".
  return /^[A-Za-z][A-Za-z0-9_.-]*$/.test(key)
    ? null
    : 'a key is made of letters, digits, "_", "." and "-", and begins with a letter'
}

function checkMetadataValue(text: unknown): string | null {
  if (typeof text !== 'string') return 'a value is not a string'
  if (text.length > metadataValueCharactersMax.value)
    return `a value is longer than ${metadataValueCharactersMax.value} characters`
  return unseen.test(text) ? 'a value has characters that cannot be seen' : null
}

/** How long a message is tried at most. */
export function checkExpiresIn(ms: number): string | null {
  return ms >= expiresInMsMin.value && ms <= expiresInMsMax.value
    ? null
    : `it must be from ${formatDuration(expiresInMsMin.value)} to ${formatDuration(expiresInMsMax.value)}`
}

/** "2h" and its like, or whole seconds; null when it is neither. */
export function expiresInMsOf(text: string): number | null {
  return /^\d{1,9}$/.test(text) ? Number(text) * secondMs : parseDuration(text)
}

/** Visible ASCII: it is compared byte for byte. */
export function checkIdempotencyKey(key: string): string | null {
  const max = idempotencyKeyCharactersMax.value
  return key.length <= max && /^[!-~]+$/.test(key) ? null : `it must have 1 to ${max} visible ASCII characters`
}

/** U+FFFD stands for what could not be decoded. */
const unseen = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\ufffd]/u

/** A word or some for people to read and programs to compare. */
function checkLabel(text: string, charactersMax: number): string | null {
  if (text === '') return 'it is empty'
  if (text.length > charactersMax) return `it is longer than ${charactersMax} characters`
  if (unseen.test(text)) return 'it has characters that cannot be seen'
  return text.trim() === text ? null : 'it begins or ends with white space'
}
