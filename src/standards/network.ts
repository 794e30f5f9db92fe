/**
 * IP addresses and CIDR blocks (RFC 4632, RFC 4291) as numbers. IPv4 in IPv6's clothes (RFC 4291 §2.5.5.2) is taken for what it is, so that one
 * address is never two.
 */
import { isIPv4, isIPv6 } from 'node:net'

export interface IpAddress {
  /** 32 bits each, from the left: one for IPv4, four for IPv6. Unsigned. */
  readonly words: readonly number[]
}

export interface Network extends IpAddress {
  /** In its one way to be written: address and prefix length, without bits of a host, IPv6 by RFC 5952. */
  readonly cidr: string
  readonly prefix: number
}

/** Null when it is none. A zone ("fe80::1%eth0") means nothing outside the machine that wrote it. */
export function parseAddress(text: string): IpAddress | null {
  if (isIPv4(text)) return { words: [ipv4Word(text)] }
  if (!isIPv6(text) || text.includes('%')) return null
  const words = ipv6Words(text)
  return isMapped(words) ? { words: words.slice(3) } : { words }
}

/** `10.0.0.0/8`, or one address. Null when it is none. */
export function parseNetwork(text: string): Network | null {
  const [written = '', length, ...rest] = text.split('/')
  const address = parseAddress(written)
  if (address === null || rest.length > 0) return null
  const bits = address.words.length * 32
  const undressedBits = bits === 32 && written.includes(':') ? 96 : 0
  const prefix = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) - undressedBits : -1
  if (prefix < 0 || prefix > bits) return null
  const words = address.words.map((word, index) => leading(word, prefix - 32 * index))
  return { cidr: `${format(words)}/${prefix}`, words, prefix }
}

/** Whether the first `prefix` bits of both are the same, which are of the same family. */
export function samePrefix(one: readonly number[], other: readonly number[], prefix: number): boolean {
  for (let index = 0; index * 32 < prefix; index++) {
    if (leading((one[index] as number) ^ (other[index] as number), prefix - 32 * index) !== 0) return false
  }
  return true
}

/** That many bits of it from the left, all when there are fewer, as an unsigned number. */
export function leading(word: number, bits: number): number {
  if (bits >= 32) return word >>> 0
  return bits <= 0 ? 0 : (word & (-1 << (32 - bits))) >>> 0
}

function ipv4Word(text: string): number {
  return text.split('.').reduce((word, part) => (word << 8) | Number(part), 0) >>> 0
}

function ipv6Words(text: string): number[] {
  const dotted = text.includes('.') ? text.slice(text.lastIndexOf(':') + 1) : ''
  const [head = '', tail] = text.slice(0, text.length - dotted.length).split('::')
  const groups = groupsOf(head)
  const behind = tail === undefined ? [] : groupsOf(tail)
  if (dotted !== '') {
    const word = ipv4Word(dotted)
    ;(tail === undefined ? groups : behind).push(word >>> 16, word & 0xffff)
  }
  const all = [...groups, ...Array<number>(8 - groups.length - behind.length).fill(0), ...behind]
  return [0, 2, 4, 6].map((at) => (((all[at] as number) << 16) | (all[at + 1] as number)) >>> 0)
}

function groupsOf(text: string): number[] {
  return text
    .split(':')
    .filter((group) => group !== '')
    .map((group) => Number.parseInt(group, 16))
}

function isMapped(words: readonly number[]): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === 0xffff
}

/** RFC 5952 §4: lower case, no leading zeros, and the longest run of zeros, the first of several, left out. */
function format(words: readonly number[]): string {
  const [only] = words
  if (words.length === 1 && only !== undefined)
    return [only >>> 24, (only >>> 16) & 255, (only >>> 8) & 255, only & 255].join('.')
  const text = words.flatMap((word) => [(word >>> 16).toString(16), (word & 0xffff).toString(16)]).join(':')
  const runs = [...text.matchAll(/\b0(?::0)+\b/g)].map(([run]) => run)
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), '')
  if (longest === '') return text
  return `:${text}:`
    .replace(`:${longest}:`, '::')
    .replace(/^:(?!:)/, '')
    .replace(/(?<!:):$/, '')
}
