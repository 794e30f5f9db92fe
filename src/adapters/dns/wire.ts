/**
 * Questions out, replies in. The bytes of a reply are hostile until proven otherwise: `readReply` never throws, and says
 * for anything odd either that it is not ours or that it needs asking again over TCP, where nobody can slip in a packet.
 */
import {
  type Answer,
  decode,
  encode,
  type Packet,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
  type TxtData,
} from 'dns-packet'
import { isIPv4, isIPv6 } from 'node:net'

import type { Random } from '../../kernel/random.ts'
import { secondMs } from '../../kernel/units.ts'
import { recordsPerReplyMax, textBytesMax, udpPayloadBytes } from './limits.ts'

export type RecordType = 'A' | 'AAAA' | 'MX' | 'TXT'

export interface Question {
  readonly name: string
  readonly type: RecordType
}

/** A question as it went out: the reply must repeat all of it. */
export interface SentQuestion {
  readonly id: number
  /** With letters in random case where the server keeps them. */
  readonly name: string
  readonly type: RecordType
  readonly edns: boolean
  readonly bytes: Buffer
}

export type ReplyRecord =
  | { readonly type: 'A' | 'AAAA'; readonly name: string; readonly ttlMs: number; readonly address: string }
  | {
      readonly type: 'MX'
      readonly name: string
      readonly ttlMs: number
      readonly preference: number
      readonly exchange: string
    }
  | { readonly type: 'TXT'; readonly name: string; readonly ttlMs: number; readonly text: string }
  | { readonly type: 'CNAME'; readonly name: string; readonly ttlMs: number; readonly target: string }

export interface Message {
  /** RFC 6895 §2.3, with the extended bits of RFC 6891 §6.1.3. */
  readonly rcode: number
  /** False: the question came back in another case than it was asked in. */
  readonly caseKept: boolean
  /** What we can use of the answer section; names in lower case. */
  readonly answers: readonly ReplyRecord[]
  /** RFC 2308 §5: the lesser of the SOA's own TTL and its minimum; null when there is no SOA. */
  readonly negativeTtlMs: number | null
}

export type Reading =
  | { readonly kind: 'message'; readonly message: Message }
  /** Not the answer to this question: somebody else's, late, or forged (row 126). */
  | { readonly kind: 'foreign' }
  /** Right id, but cut short or not decodable: nothing in it may be believed. */
  | { readonly kind: 'unusable'; readonly reason: string }

export const rcodes = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  noSuchName: 3,
  notImplemented: 4,
  refused: 5,
  badVersion: 16,
} as const

const foreign: Reading = { kind: 'foreign' }
const responseFlag = 0x8000
const opcodeMask = 0x7800

/** @param mixCase adds the letters' case to what a forger must guess (draft-vixie-dnsext-dns0x20) */
export function writeQuestion(
  question: Question,
  random: Random,
  options: { edns: boolean; mixCase: boolean },
): SentQuestion {
  const id = random.uint32() & 0xffff
  const name = options.mixCase ? mixCase(question.name, random) : question.name
  const packet: Packet = {
    type: 'query',
    id,
    flags: RECURSION_DESIRED,
    questions: [{ type: question.type, name, class: 'IN' }],
  }
  if (options.edns) {
    packet.additionals = [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: udpPayloadBytes.value,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ]
  }
  return { id, name, type: question.type, edns: options.edns, bytes: encode(packet) }
}

function mixCase(name: string, random: Random): string {
  let mixed = ''
  let bits = 0
  for (let i = 0; i < name.length; i++) {
    if (i % 32 === 0) bits = random.uint32()
    const letter = name.charAt(i)
    mixed += bits & 1 ? letter.toUpperCase() : letter
    bits >>>= 1
  }
  return mixed
}

/** What the bytes mean as an answer to `sent`. */
export function readReply(bytes: Buffer, sent: SentQuestion): Reading {
  if (bytes.length < 12 || bytes.readUInt16BE(0) !== sent.id) return foreign
  const flags = bytes.readUInt16BE(2)
  if ((flags & responseFlag) === 0 || (flags & opcodeMask) !== 0) return foreign
  // Counted before decoding, because the decoder makes room for as many as the header claims.
  const records = bytes.readUInt16BE(6) + bytes.readUInt16BE(8) + bytes.readUInt16BE(10)
  if (bytes.readUInt16BE(4) > 1 || records > recordsPerReplyMax.value)
    return { kind: 'unusable', reason: 'has too many records' }
  let packet: Packet
  try {
    packet = decode(bytes)
  } catch {
    return { kind: 'unusable', reason: 'cannot be decoded' }
  }
  return judge(packet, flags, sent)
}

function judge(packet: Packet, flags: number, sent: SentQuestion): Reading {
  const asked = packet.questions?.[0]
  const rcode = (flags & 0x0f) | extendedRcode(packet.additionals)
  if (asked === undefined) {
    // A server too old for EDNS may answer with a bare header (RFC 6891 §7).
    if (rcode !== rcodes.formatError) return foreign
    return { kind: 'message', message: { rcode, caseKept: true, answers: [], negativeTtlMs: null } }
  }
  if (asked.type !== sent.type || asked.class !== 'IN' || asked.name.toLowerCase() !== sent.name.toLowerCase())
    return foreign
  if ((flags & TRUNCATED_RESPONSE) !== 0) return { kind: 'unusable', reason: 'is truncated' }
  return {
    kind: 'message',
    message: {
      rcode,
      caseKept: asked.name === sent.name,
      answers: (packet.answers ?? []).map(readRecord).filter((record) => record !== null),
      negativeTtlMs: negativeTtl(packet.authorities),
    },
  }
}

function extendedRcode(additionals: readonly Answer[] | undefined): number {
  const options = additionals?.find((record) => record.type === 'OPT')
  return options === undefined ? 0 : options.extendedRcode << 4
}

function negativeTtl(authorities: readonly Answer[] | undefined): number | null {
  const authority = authorities?.find((record) => record.type === 'SOA')
  return authority === undefined ? null : Math.min(ttlMs(authority.ttl), ttlMs(authority.data.minimum))
}

/** RFC 2181 §8: with the highest bit set it counts as zero. */
function ttlMs(seconds = 0): number {
  return seconds < 2 ** 31 ? seconds * secondMs : 0
}

function readRecord(record: Answer): ReplyRecord | null {
  if (record.type === 'OPT' || (record.class ?? 'IN') !== 'IN') return null
  const name = record.name.toLowerCase()
  const ttl = ttlMs(record.ttl)
  if (record.type === 'A' && isIPv4(record.data)) return { type: 'A', name, ttlMs: ttl, address: record.data }
  if (record.type === 'AAAA' && isIPv6(record.data)) return { type: 'AAAA', name, ttlMs: ttl, address: record.data }
  if (record.type === 'CNAME') return { type: 'CNAME', name, ttlMs: ttl, target: record.data.toLowerCase() }
  if (record.type === 'TXT') return readText(name, ttl, record.data)
  if (record.type !== 'MX') return null
  const { preference = 0, exchange } = record.data
  return { type: 'MX', name, ttlMs: ttl, preference, exchange: exchange.toLowerCase() }
}

/** RFC 7208 §3.3: the strings of a record are one text, without anything between them. */
function readText(name: string, ttl: number, data: TxtData): ReplyRecord | null {
  const strings = (Array.isArray(data) ? data : [data]).map((part) => Buffer.from(part))
  const bytes = strings.reduce((sum, { length }) => sum + length, 0)
  if (bytes > textBytesMax.value) return null
  return { type: 'TXT', name, ttlMs: ttl, text: Buffer.concat(strings).toString('latin1') }
}
