/** Payloads of the records, as bytes and back. One encoder and one decoder per type, side by side. */
import { invariant } from '../kernel/assert.ts'
import { uuidText, writeUuid } from '../kernel/ids.ts'
import { type Attempt, type Outcome, dialogueStages, outcomeKinds, outcomeScopes } from '../model/outcome.ts'
import {
  type DsnRequest,
  type MailClass,
  noFacts,
  type SubmissionFacts,
  type SubmissionHead,
  type SubmissionVia,
} from '../model/submission.ts'

const classes: readonly MailClass[] = ['urgent', 'transactional', 'bulk']

export interface ChunkReference {
  readonly position: number
  readonly bytes: number
}

/**
 * submission   id 16 | acceptedAt f64 | flags u8 | class u8 | content bytes f64 | inline bytes u32 | recipients u32 | chunks u32 | head bytes u32
 *              | tenant, return path, From domain, client, added headers, recipients…: u16 length + UTF-8 each (added headers u32)
 *              | chunks: position f64, bytes u32 each | extra | inline content
 * extra        expires f64 | via u8 | cuts u8 | from, to: u32 each | From, subject, stream, campaign, credential, key, request's hash, tags as JSON,
 *              metadata: u16 length + UTF-8 each | what the sender asked to be told, as JSON: u32 length + UTF-8, or nothing
 *              Records of 0.1's first days have none: "head bytes" says where the inline content begins.
 */
const fixedBytes = 50
const extraFixedBytes = 10
const vias: readonly SubmissionVia[] = ['smtp', 'http']

export interface StoredSubmission extends Omit<SubmissionHead, 'facts'> {
  readonly id: string
  readonly acceptedAtMs: number
  readonly contentBytes: number
  /** Content that was spilled before the commit, in order; the inline content follows it. */
  readonly chunks: readonly ChunkReference[]
  /** Offset of the inline content in the payload. */
  readonly inlineOffset: number
  readonly inlineBytes: number
  /** Offset for `readFacts`; 0: there are none. */
  readonly factsOffset: number
}

const utf8 = (text: string): number => Buffer.byteLength(text, 'utf8')

export function submissionBytes(head: SubmissionHead, chunks: number, inlineBytes: number): number {
  let bytes = fixedBytes + 12 + utf8(head.addedHeaders) + chunks * 12 + inlineBytes
  bytes += utf8(head.tenant) + utf8(head.returnPath) + utf8(head.fromDomain) + utf8(head.client)
  for (const recipient of head.recipients) bytes += 2 + utf8(recipient)
  bytes += extraFixedBytes + head.cuts.length * 4
  for (const text of factTexts(head.facts)) bytes += 2 + utf8(text)
  if (head.dsn !== undefined) bytes += 4 + utf8(JSON.stringify(head.dsn))
  return bytes
}

const factTextsCount = 9
const factTexts = (facts: SubmissionFacts): readonly string[] => [
  facts.from,
  facts.subject,
  facts.stream,
  facts.campaign,
  facts.credentialId,
  facts.idempotencyKey,
  facts.requestSha256,
  facts.tags.length === 0 ? '' : JSON.stringify(facts.tags),
  facts.metadata,
]

/** Writes a submission's payload at `at`; returns the offset behind its inline content, which the caller copies in at the end. */
export function writeSubmission(
  into: Buffer,
  at: number,
  head: SubmissionHead,
  facts: {
    id: string
    acceptedAtMs: number
    contentBytes: number
    chunks: readonly ChunkReference[]
    inlineBytes: number
  },
): number {
  writeUuid(into, at, facts.id)
  into.writeDoubleLE(facts.acceptedAtMs, at + 16)
  into.writeUInt8(flagsOf(head), at + 24)
  into.writeUInt8(classes.indexOf(head.mailClass), at + 25)
  into.writeDoubleLE(facts.contentBytes, at + 26)
  into.writeUInt32LE(facts.inlineBytes, at + 34)
  into.writeUInt32LE(head.recipients.length, at + 38)
  into.writeUInt32LE(facts.chunks.length, at + 42)
  let next = at + fixedBytes
  next = writeText16(into, next, head.tenant)
  next = writeText16(into, next, head.returnPath)
  next = writeText16(into, next, head.fromDomain)
  next = writeText16(into, next, head.client)
  const headerBytes = into.write(head.addedHeaders, next + 4, 'utf8')
  into.writeUInt32LE(headerBytes, next)
  next += 4 + headerBytes
  for (const recipient of head.recipients) next = writeText16(into, next, recipient)
  for (const chunk of facts.chunks) {
    into.writeDoubleLE(chunk.position, next)
    into.writeUInt32LE(chunk.bytes, next + 8)
    next += 12
  }
  next = writeExtra(into, next, head)
  into.writeUInt32LE(next - at, at + 46)
  return next
}

const eightBitFlag = 1
const smtpUtf8Flag = 2
const dotLinesFlag = 4
const dsnFlag = 8

const flagsOf = ({ eightBit, smtpUtf8, dotLines, dsn }: SubmissionHead): number =>
  (eightBit ? eightBitFlag : 0) |
  (smtpUtf8 ? smtpUtf8Flag : 0) |
  (dotLines ? dotLinesFlag : 0) |
  (dsn === undefined ? 0 : dsnFlag)

function writeExtra(into: Buffer, at: number, { expiresAtMs, cuts, facts, dsn }: SubmissionHead): number {
  into.writeDoubleLE(expiresAtMs, at)
  into.writeUInt8(vias.indexOf(facts.via), at + 8)
  into.writeUInt8(cuts.length / 2, at + 9)
  let next = at + extraFixedBytes
  for (const cut of cuts) next = into.writeUInt32LE(cut, next)
  for (const text of factTexts(facts)) next = writeText16(into, next, text)
  if (dsn === undefined) return next
  const bytes = into.write(JSON.stringify(dsn), next + 4, 'utf8')
  into.writeUInt32LE(bytes, next)
  return next + 4 + bytes
}

export function readSubmission(from: Buffer, at: number): StoredSubmission {
  const flags = from.readUInt8(at + 24)
  const recipientCount = from.readUInt32LE(at + 38)
  const chunkCount = from.readUInt32LE(at + 42)
  const cursor = { next: at + fixedBytes }
  const tenant = readText16(from, cursor)
  const returnPath = readText16(from, cursor)
  const fromDomain = readText16(from, cursor)
  const client = readText16(from, cursor)
  const headerBytes = from.readUInt32LE(cursor.next)
  const addedHeaders = from.toString('utf8', cursor.next + 4, cursor.next + 4 + headerBytes)
  cursor.next += 4 + headerBytes
  const recipients: string[] = []
  for (let i = 0; i < recipientCount; i++) recipients.push(readText16(from, cursor))
  const chunks: ChunkReference[] = []
  for (let i = 0; i < chunkCount; i++) {
    chunks.push({ position: from.readDoubleLE(cursor.next), bytes: from.readUInt32LE(cursor.next + 8) })
    cursor.next += 12
  }
  const inlineOffset = at + from.readUInt32LE(at + 46)
  const hasExtra = cursor.next < inlineOffset
  const dsn = (flags & dsnFlag) === 0 ? undefined : readDsn(from, cursor.next)
  return {
    id: uuidText(from, at),
    acceptedAtMs: from.readDoubleLE(at + 16),
    tenant,
    returnPath,
    fromDomain,
    client,
    addedHeaders,
    recipients,
    chunks,
    mailClass: classes[from.readUInt8(at + 25)] ?? 'transactional',
    eightBit: (flags & eightBitFlag) !== 0,
    smtpUtf8: (flags & smtpUtf8Flag) !== 0,
    dotLines: (flags & dotLinesFlag) !== 0,
    contentBytes: from.readDoubleLE(at + 26),
    inlineBytes: from.readUInt32LE(at + 34),
    inlineOffset,
    expiresAtMs: hasExtra ? from.readDoubleLE(cursor.next) : 0,
    cuts: hasExtra ? readCuts(from, cursor.next + 9) : noCuts,
    factsOffset: hasExtra ? cursor.next + 8 : 0,
    ...(dsn !== undefined && { dsn }),
  }
}

/** Behind the facts, whose lengths lead there. */
function readDsn(from: Buffer, extraAt: number): DsnRequest {
  let next = extraAt + extraFixedBytes + from.readUInt8(extraAt + 9) * 8
  for (let text = 0; text < factTextsCount; text++) next += 2 + from.readUInt16LE(next)
  return JSON.parse(from.toString('utf8', next + 4, next + 4 + from.readUInt32LE(next))) as DsnRequest
}

const noCuts: readonly number[] = []

function readCuts(from: Buffer, at: number): readonly number[] {
  const count = from.readUInt8(at) * 2
  if (count === 0) return noCuts
  return Array.from({ length: count }, (_, i) => from.readUInt32LE(at + 1 + i * 4))
}

/** What `readSubmission` leaves out, because only readers of events want it. */
export function readFacts(from: Buffer, { factsOffset }: StoredSubmission): SubmissionFacts {
  if (factsOffset === 0) return noFacts
  const cursor = { next: factsOffset + 2 + from.readUInt8(factsOffset + 1) * 8 }
  const via = vias[from.readUInt8(factsOffset)] ?? 'smtp'
  const next = (): string => readText16(from, cursor)
  const [fromHeader, subject, stream, campaign] = [next(), next(), next(), next()]
  const [credentialId, idempotencyKey, requestSha256, tags] = [next(), next(), next(), next()]
  return {
    via,
    from: fromHeader,
    subject,
    stream,
    campaign,
    tags: tags === '' ? noFacts.tags : (JSON.parse(tags) as string[]),
    metadata: next(),
    credentialId,
    idempotencyKey,
    requestSha256,
  }
}

/** One recipient's share of an attempt: which outcome, and when the next attempt is due (0: never). */
export interface RecipientOutcome {
  readonly recipient: number
  readonly attempt: number
  readonly outcome: Outcome
  readonly nextAttemptAtMs: number
  /** An attempt before this one may have arrived: its reply was lost, or its outcome was, in a crash. */
  readonly mayBeDuplicate: boolean
}

export interface StoredOutcome {
  readonly log: number
  readonly atMs: number
  /** Where the submission's record is; 0 in records that do not tell. */
  readonly place: number
  readonly attempt: Attempt
  readonly recipients: readonly RecipientOutcome[]
}

/**
 * outcome   log u8 | count u16 | at f64 | started f64 | connected, envelope, finished i32 each | flags u8 (1: reused connection, 2: DSN passed on,
 *           4: has a place) | host, address, source, tls: text | place f64 | per recipient: recipient u32, attempt u16, next attempt f64, kind u8 (+ 128: may be a duplicate), scope u8, stage u8, code u16, enhanced text, reply text
 *           (a reply equal to the one before it is stored as length 65535)
 */
const outcomeFixedBytes = 32
const sameAsBefore = 0xffff
const duplicateBit = 128
const reusedBit = 1
const dsnPassedOnBit = 2
const placeBit = 4

export function outcomeBytes(stored: StoredOutcome): number {
  const { attempt } = stored
  let bytes =
    outcomeFixedBytes + 16 + utf8(attempt.host) + utf8(attempt.address) + utf8(attempt.source) + utf8(attempt.tls)
  let before = ''
  for (const { outcome } of stored.recipients) {
    bytes += 23 + utf8(outcome.enhanced) + (outcome.text === before ? 0 : utf8(outcome.text))
    before = outcome.text
  }
  return bytes
}

export function writeOutcome(into: Buffer, at: number, stored: StoredOutcome): void {
  const { attempt } = stored
  into.writeUInt8(stored.log, at)
  into.writeUInt16LE(stored.recipients.length, at + 1)
  into.writeDoubleLE(stored.atMs, at + 3)
  into.writeDoubleLE(attempt.startedAtMs, at + 11)
  into.writeInt32LE(Math.round(attempt.connectedMs), at + 19)
  into.writeInt32LE(Math.round(attempt.envelopeMs), at + 23)
  into.writeInt32LE(Math.round(attempt.finishedMs), at + 27)
  const flags = (attempt.reusedConnection ? reusedBit : 0) | (attempt.dsnPassedOn === true ? dsnPassedOnBit : 0)
  into.writeUInt8(flags | placeBit, at + 31)
  let next = at + outcomeFixedBytes
  for (const text of [attempt.host, attempt.address, attempt.source, attempt.tls]) next = writeText16(into, next, text)
  next = into.writeDoubleLE(stored.place, next)
  let before = ''
  for (const { recipient, attempt: count, outcome, nextAttemptAtMs, mayBeDuplicate } of stored.recipients) {
    into.writeUInt32LE(recipient, next)
    into.writeUInt16LE(count, next + 4)
    into.writeDoubleLE(nextAttemptAtMs, next + 6)
    into.writeUInt8(outcomeKinds.indexOf(outcome.kind) | (mayBeDuplicate ? duplicateBit : 0), next + 14)
    into.writeUInt8(outcomeScopes.indexOf(outcome.scope), next + 15)
    into.writeUInt8(dialogueStages.indexOf(outcome.stage), next + 16)
    into.writeUInt16LE(outcome.code, next + 17)
    next = writeText16(into, next + 19, outcome.enhanced)
    if (outcome.text === before) {
      into.writeUInt16LE(sameAsBefore, next)
      next += 2
    } else next = writeText16(into, next, outcome.text)
    before = outcome.text
  }
}

export function readOutcome(from: Buffer, at: number): StoredOutcome {
  const count = from.readUInt16LE(at + 1)
  const flags = from.readUInt8(at + 31)
  const cursor = { next: at + outcomeFixedBytes }
  const attempt: Attempt = {
    startedAtMs: from.readDoubleLE(at + 11),
    connectedMs: from.readInt32LE(at + 19),
    envelopeMs: from.readInt32LE(at + 23),
    finishedMs: from.readInt32LE(at + 27),
    reusedConnection: (flags & reusedBit) !== 0,
    host: readText16(from, cursor),
    address: readText16(from, cursor),
    source: readText16(from, cursor),
    tls: readText16(from, cursor),
    ...((flags & dsnPassedOnBit) !== 0 && { dsnPassedOn: true }),
  }
  const hasPlace = (flags & placeBit) !== 0
  const place = hasPlace ? from.readDoubleLE(cursor.next) : 0
  if (hasPlace) cursor.next += 8
  const recipients: RecipientOutcome[] = []
  let before = ''
  for (let i = 0; i < count; i++) {
    const here = cursor.next
    cursor.next += 19
    const enhanced = readText16(from, cursor)
    let text = before
    if (from.readUInt16LE(cursor.next) === sameAsBefore) cursor.next += 2
    else text = readText16(from, cursor)
    before = text
    recipients.push({
      recipient: from.readUInt32LE(here),
      attempt: from.readUInt16LE(here + 4),
      nextAttemptAtMs: from.readDoubleLE(here + 6),
      mayBeDuplicate: (from.readUInt8(here + 14) & duplicateBit) !== 0,
      outcome: {
        kind: outcomeKinds[from.readUInt8(here + 14) & ~duplicateBit] ?? 'deferred',
        scope: outcomeScopes[from.readUInt8(here + 15)] ?? 'recipient',
        stage: dialogueStages[from.readUInt8(here + 16)] ?? 'final',
        code: from.readUInt16LE(here + 17),
        enhanced,
        text,
      },
    })
  }
  return { log: from.readUInt8(at), atMs: from.readDoubleLE(at + 3), place, attempt, recipients }
}

function writeText16(into: Buffer, at: number, text: string): number {
  const bytes = into.write(text, at + 2, 'utf8')
  invariant(bytes < sameAsBefore, 'text is too long for a record')
  into.writeUInt16LE(bytes, at)
  return at + 2 + bytes
}

function readText16(from: Buffer, cursor: { next: number }): string {
  const bytes = from.readUInt16LE(cursor.next)
  const text = from.toString('utf8', cursor.next + 2, cursor.next + 2 + bytes)
  cursor.next += 2 + bytes
  return text
}
