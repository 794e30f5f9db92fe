/** Addresses as an application gives them: "Ann Lee <ann@example.com>", "ann@example.com", or { email, name }. */
import { failures, httpFailures } from '../../model/failures.ts'
import { parsePath } from '../../standards/address.ts'
import { Problem } from './problem.ts'
import type { AddressInput } from './schemas.ts'

export interface Address {
  readonly name: string
  /** `local@domain`, as written. */
  readonly address: string
  /** Lower-case A-labels. */
  readonly domain: string
}

/** Throws a Problem that points at it. */
export function readAddress(input: AddressInput, pointer: string): Address {
  if (typeof input === 'string') return readMailbox(input, pointer)
  const { email, name = '' } = input
  return checked(email, name, `${pointer}/email`)
}

/** One or a list of them. */
export function readAddresses(input: AddressInput | readonly AddressInput[] | undefined, pointer: string): Address[] {
  if (input === undefined) return []
  if (!isList(input)) return [readAddress(input, pointer)]
  return input.map((entry, i) => readAddress(entry, `${pointer}/${i}`))
}

function isList(input: AddressInput | readonly AddressInput[]): input is readonly AddressInput[] {
  return Array.isArray(input)
}

/** As it was given, in one string. */
export function shownAddress(input: AddressInput): string {
  if (typeof input === 'string') return input
  return input.name === undefined || input.name === '' ? input.email : `${input.name} <${input.email}>`
}

function readMailbox(text: string, pointer: string): Address {
  const trimmed = text.trim()
  const open = trimmed.endsWith('>') ? trimmed.lastIndexOf('<') : -1
  if (open < 0) return checked(trimmed, '', pointer)
  const written = trimmed.slice(0, open).trim()
  const name = quotedText(written) ?? written
  // Taken for a name, all addresses of a list but the last one would get nothing, and nobody would hear of it.
  if (name === written && hasAddress(written)) refuse(pointer, 'these are several addresses in one string')
  return checked(trimmed.slice(open + 1, -1), name, pointer)
}

/** RFC 5322 §3.4: quotes around a name are not part of it. Undefined when it is not in quotes. */
function quotedText(written: string): string | undefined {
  return /^"((?:[^"\\]|\\.)*)"$/s.exec(written)?.[1]?.replaceAll(/\\(.)/gs, '$1')
}

/** A name is often the address once more, but it is not a list with an address in it. */
function hasAddress(name: string): boolean {
  return /[<>]/.test(name) || (name.includes('@') && /[,;]/.test(name))
}

function checked(address: string, name: string, pointer: string): Address {
  const path = parsePath(`<${address}>`, 0)
  if (path.problem !== null || path.mailbox?.address !== address) {
    refuse(pointer, path.problem ?? 'this is not one address')
  }
  const { domain, literal } = path.mailbox
  if (literal) throw new Problem(failures.addressLiteral, { pointer })
  return { name, address, domain }
}

function refuse(pointer: string, detail: string): never {
  const cure = 'Write local@domain, or Name <local@domain>; several addresses as a list of strings.'
  throw new Problem(httpFailures.addressInvalid, { pointer, detail, cure })
}

/** Each address once, the first time that it is named. A domain has no case (RFC 5321 §2.4), a local part may have. */
export function distinct(lists: readonly (readonly Address[])[]): Address[] {
  const known = new Map<string, Address>()
  for (const list of lists) {
    for (const entry of list) {
      const key = `${entry.address.slice(0, entry.address.lastIndexOf('@'))}@${entry.domain}`
      if (!known.has(key)) known.set(key, entry)
    }
  }
  return [...known.values()]
}
