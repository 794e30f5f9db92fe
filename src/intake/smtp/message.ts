/**
 * One message on its way in: the envelope that MAIL opened, and the content that DATA or BDAT brings. It lives from MAIL to the
 * reply after the content, or to the session's `reset()`; nothing of it outlives either.
 *
 * What is wrong with the content is known at its end, and told in a fixed order, so that the answer does not depend on how
 * the network cut the stream. Once something is wrong, the bytes are still read but no longer kept.
 */
import { createHash, type Hash } from 'node:crypto'
import { invariant } from '../../kernel/assert.ts'
import { type Failure, failures } from '../../model/failures.ts'
import type { ClientStream } from '../../ports/clients.ts'
import { nothingTaken, type Taken } from '../../ports/quotas.ts'
import { isFailure, type Submissions, type Transaction } from '../../ports/submissions.ts'
import { subjectCharactersMax } from '../../model/limits.ts'
import type { DsnRecipient, DsnRequest, MailClass, SubmissionFacts } from '../../model/submission.ts'
import { needsSmtpUtf8 } from '../../standards/address.ts'
import { fromAddresses, type HeaderSurvey, surveyHeader } from '../../standards/header.ts'
import { readableText } from '../../standards/mime/encoded-words.ts'
import type { MailCommand } from '../../standards/smtp-command.ts'
import { withDefaults } from '../stream-defaults.ts'
import { dateField, messageIdField, receivedField, type Trace } from '../trace.ts'
import { ContentScanner, type ContentSink } from './content.ts'
import { headerBytesMax, headerFieldsMax, receivedFieldsMax, recipientOverheadBytes } from './limits.ts'
import type { SessionMemory } from './memory.ts'
import { type MailOptions, noMailOptions, readOptions } from './options.ts'

const nothing = Buffer.alloc(0)
/** Of no domain. Stands for what could not be read, which only those may send who may send as anybody. */
const nobody = '@'
const crlf = Buffer.from('\r\n')
/** Of a recipient whose RCPT had no parameters. */
export const nothingAsked: DsnRecipient = { notify: 0, originalRecipient: '' }

/** Told how the spool fares with a message. */
export interface MessageOwner {
  /** Whose mail it is. */
  readonly tenant: string
  /** Of its client; '' when the directory does not know it. */
  readonly credentialId: string
  /** Whether its client may write that into From. */
  maySendAs(address: string): boolean
  /** Its client's stream of that name; null when it has none. */
  stream(name: string): ClientStream | null
  /** It wants no more content for now. */
  spoolFull(): void
  /** It does again. */
  spoolReady(): void
  /** There is nothing to wait for any more. */
  spoolGone(): void
  /** The commit's end. */
  settled(failure: Failure | null, message: IncomingMessage): void
}

export class IncomingMessage implements ContentSink {
  readonly returnPath: string
  readonly recipients: string[] = []
  readonly smtpUtf8: boolean
  /** Given by the spool; '' until commit. */
  id = ''
  /** Octets of content so far, kept or not. */
  contentBytes = 0
  /** BDAT commands so far. */
  chunks = 0
  /** Of its idempotency key in the message store, to be released when the commit has settled. */
  claim: number | null = null
  /** Of quotas, to be given back when the commit fails. */
  taken: Taken = nothingTaken
  readonly #declaredBytes: number
  readonly #contentBytesMax: number
  readonly #memory: SessionMemory
  #envelopeBytes = 0
  #utf8Address: boolean
  readonly #returns: DsnRequest['returns']
  readonly #envelopeId: string
  /** One for each recipient once anything was asked; null before, which is nearly always. */
  #asked: DsnRecipient[] | null
  #scanner: ContentScanner | null = null
  #spool: Transaction | null = null
  #owner: MessageOwner | null = null
  #header: Buffer | null = null
  #headerFailure: Failure | null = null
  #survey: HeaderSurvey | null = null
  #subject = ''
  #options: MailOptions = noMailOptions
  /** Class by its stream or by its own word. */
  #mailClass: MailClass = 'transactional'
  /** What is wrong with the header's meaning; told at the end. */
  #headerRefusal: Failure | null = null
  /** Over envelope and content, where there is an idempotency key. */
  #hash: Hash | null = null
  #requestSha256 = ''

  constructor(mail: MailCommand, contentBytesMax: number, memory: SessionMemory) {
    this.returnPath = mail.mailbox?.address ?? ''
    this.smtpUtf8 = mail.smtpUtf8
    this.#utf8Address = needsSmtpUtf8(this.returnPath)
    this.#returns = mail.returns
    this.#envelopeId = mail.envelopeId
    this.#asked = mail.returns === '' && mail.envelopeId === '' ? null : []
    this.#declaredBytes = mail.sizeBytes
    this.#contentBytesMax = contentBytesMax
    this.#memory = memory
  }

  /** False: all sessions together hold too much for one more. */
  addRecipient(address: string, asked: DsnRecipient): boolean {
    const askedBytes = asked === nothingAsked ? 0 : asked.originalRecipient.length + recipientOverheadBytes.value
    const bytes = address.length + recipientOverheadBytes.value + askedBytes
    if (!this.#memory.reserve(bytes)) return false
    this.#envelopeBytes += bytes
    if (asked !== nothingAsked) this.#asked ??= this.recipients.map(() => nothingAsked)
    this.#asked?.push(asked)
    this.recipients.push(address)
    this.#utf8Address ||= needsSmtpUtf8(address)
    return true
  }

  /** DATA or a first BDAT was given. */
  get begun(): boolean {
    return this.#scanner !== null
  }

  /** The final dot was read. */
  get ended(): boolean {
    return this.#scanner?.ended === true
  }

  /** Content begins. `stuffed` is DATA's way of writing it. */
  begin(submissions: Submissions, stuffed: boolean, owner: MessageOwner): Failure | null {
    const spool = submissions.begin(this.#declaredBytes, owner.tenant)
    if (isFailure(spool)) return spool
    this.#spool = spool
    this.#owner = owner
    this.#scanner = new ContentScanner(this, stuffed)
    return null
  }

  /** Reads content off the wire; returns where it stopped. */
  scan(bytes: Buffer, from: number, to: number): number {
    invariant(this.#scanner !== null, 'content comes after DATA or BDAT')
    return this.#scanner.scan(bytes, from, to)
  }

  /** The scanner's runs of content proper. */
  content(bytes: Buffer, start: number, end: number): void {
    const before = this.contentBytes
    this.contentBytes += end - start
    if (this.#spool === null) return
    if (this.contentBytes > this.#contentBytesMax || this.#malformed() !== null) return this.#endContent()
    // Of the header's own piece only what is behind the header is left to hash.
    let hashFrom = start
    if (this.#survey === null && this.#headerFailure === null) {
      this.#collectHeader(bytes, start, end, before)
      hashFrom += (this.#scanner as ContentScanner).headerEnd - before
    }
    this.#hash?.update(bytes.subarray(hashFrom, end))
    if (!this.#spool.append(bytes, start, end)) this.#pauseFor(this.#spool)
  }

  /** What is wrong with the content so far; null: nothing. */
  complaint(): Failure | null {
    if (this.contentBytes > this.#contentBytesMax) return failures.messageTooBig(this.#contentBytesMax)
    const malformed = this.#malformed()
    return malformed ?? this.#headerFailure
  }

  /** The same once no more content follows, with what needs the whole header. */
  verdict(): Failure | null {
    this.#scanner?.finish()
    if (this.#survey === null && this.complaint() === null)
      this.#judgeHeader(this.#header?.subarray(0, this.contentBytes) ?? nothing)
    const complaint = this.complaint()
    if (complaint !== null) return complaint
    const survey = this.#survey
    if (survey === null) return failures.headerMalformed
    if (survey.receivedCount > receivedFieldsMax.value) return failures.tooManyHops
    if (survey.malformedLine) return failures.headerMalformed
    if (survey.fromCount === 0) return failures.fromMissing
    if (survey.fromCount > 1) return failures.fromRepeated
    return survey.fromDomain === '' ? failures.fromMalformed : this.#headerRefusal
  }

  /** Known once the header is; '' is none. */
  get idempotencyKey(): string {
    return this.#options.idempotencyKey
  }

  /** SHA-256 in hex of envelope and content, once the content is complete; '' without an idempotency key. */
  requestSha256(): string {
    if (this.#hash !== null) this.#requestSha256 = this.#hash.digest('hex')
    this.#hash = null
    return this.#requestSha256
  }

  /** After a verdict of null. The transaction is the spool's from here on, and no `abort()` reaches it. */
  commit(trace: Omit<Trace, 'id'>): void {
    const spool = this.#spool
    const owner = this.#owner
    const scanner = this.#scanner
    const survey = this.#survey
    invariant(
      spool !== null && owner !== null && scanner !== null && survey !== null,
      'commit follows a verdict on complete content',
    )
    this.#spool = null
    spool.onDrain = null
    // What goes out ends in CRLF; a last chunk need not (RFC 3030 §2).
    if (!scanner.atLineStart) spool.append(crlf, 0, crlf.length)
    const { id } = spool
    const { hostname, timeMs } = trace
    this.id = id
    spool.commit(
      {
        tenant: owner.tenant,
        returnPath: this.returnPath,
        recipients: this.recipients,
        mailClass: this.#mailClass,
        addedHeaders:
          receivedField({ ...trace, id }, this.recipients) +
          (survey.hasDate ? '' : dateField(timeMs)) +
          (survey.hasMessageId ? '' : messageIdField(id, hostname)),
        fromDomain: survey.fromDomain,
        client: `${trace.address} ${trace.hello}`,
        eightBit: scanner.eightBit,
        // A header of raw bytes from a client that never said SMTPUTF8 is old 8-bit mail, and any server takes it as we did.
        smtpUtf8: this.#utf8Address || (this.smtpUtf8 && survey.hasNonAscii),
        dotLines: scanner.dotLines,
        expiresAtMs: this.#options.expiresInMs === 0 ? 0 : timeMs + this.#options.expiresInMs,
        cuts: this.#options.cuts,
        ...(this.#asked !== null && { dsn: this.#dsn(this.#asked) }),
        facts: this.#facts(survey.fromAddress, owner.credentialId),
      },
      (failure) => owner.settled(failure, this),
    )
  }

  #dsn(recipients: readonly DsnRecipient[]): DsnRequest {
    return { returns: this.#returns, envelopeId: this.#envelopeId, recipients }
  }

  #facts(from: string, credentialId: string): SubmissionFacts {
    const { stream, campaign, tags, metadata, idempotencyKey } = this.#options
    return {
      via: 'smtp',
      from,
      subject: this.#subject,
      stream,
      campaign,
      tags,
      metadata,
      credentialId,
      idempotencyKey,
      requestSha256: this.requestSha256(),
    }
  }

  /** The end of it all, committed or not. */
  abort(): void {
    this.#endContent()
    this.#memory.release(this.#envelopeBytes)
    this.#envelopeBytes = 0
  }

  #pauseFor(spool: Transaction): void {
    const owner = this.#owner as MessageOwner
    spool.onDrain ??= () => owner.spoolReady()
    owner.spoolFull()
  }

  /** No more of it is kept. */
  #endContent(): void {
    if (this.#spool !== null) this.#spool.onDrain = null
    this.#owner?.spoolGone()
    this.#spool?.abort()
    this.#spool = null
    this.#dropHeader()
  }

  #dropHeader(): void {
    if (this.#header !== null) this.#memory.giveHeader(this.#header)
    this.#header = null
  }

  #malformed(): Failure | null {
    const scanner = this.#scanner
    if (scanner === null) return null
    if (scanner.bareLineEnd) return failures.bareLineEnd
    if (scanner.nul) return failures.nulByte
    return scanner.longLine ? failures.lineTooLong : null
  }

  /**
   * Surveys the header where it lies when it came in one piece, which is nearly always; else gathers it first. `before`
   * is how much content came before these bytes, all of it header.
   */
  #collectHeader(bytes: Buffer, start: number, end: number, before: number): void {
    const scanner = this.#scanner as ContentScanner
    const complete = scanner.headerEnd >= 0
    const size = complete ? scanner.headerEnd : before + end - start
    if (size > headerBytesMax.value) this.#headerFailure = failures.headerTooBig
    else if (complete && before === 0) this.#judgeHeader(bytes.subarray(start, start + size))
    else if (!this.#gatherHeader(size, before)) this.#headerFailure = failures.intakeBusy
    else {
      const header = this.#header as Buffer
      bytes.copy(header, before, start, start + size - before)
      if (!complete) return
      this.#judgeHeader(header.subarray(0, size))
    }
    this.#dropHeader()
  }

  /** Makes `#header` hold `size` bytes and keeps its first `used` ones. False: there is no memory for that now. */
  #gatherHeader(size: number, used: number): boolean {
    const old = this.#header
    if (old !== null && old.length >= size) return true
    const larger = this.#memory.takeHeader(size)
    if (larger === null) return false
    if (old !== null) {
      old.copy(larger, 0, 0, used)
      this.#memory.giveHeader(old)
    }
    this.#header = larger
    return true
  }

  #judgeHeader(header: Buffer): void {
    const manyLines = (this.#scanner as ContentScanner).headerLines > headerFieldsMax.value
    if (manyLines && fieldCount(header) > headerFieldsMax.value) this.#headerFailure = failures.headerTooBig
    const survey = surveyHeader(header)
    const { fromAddress, subjectStart, subjectEnd, options } = survey
    this.#survey = survey
    if (subjectEnd > 0) this.#subject = readableText(header, subjectStart, subjectEnd, subjectCharactersMax.value)
    if (fromAddress !== '') this.#headerRefusal = this.#judgeSender(header, survey)
    if (options.length > 0) this.#headerRefusal ??= this.#takeOptions(header, options)
  }

  /** Everybody who is named in From must be one that the client may send as: receivers show them all. */
  #judgeSender(header: Buffer, { fromAddress, fromMore }: HeaderSurvey): Failure | null {
    const owner = this.#owner as MessageOwner
    const allowed =
      owner.maySendAs(fromAddress) &&
      (!fromMore || (fromAddresses(header) ?? [nobody]).every((address) => owner.maySendAs(address)))
    return allowed ? null : failures.senderNotAllowed
  }

  #takeOptions(header: Buffer, fields: HeaderSurvey['options']): Failure | null {
    const bytes = fields.reduce((sum, { nameStart, end }) => sum + end - nameStart, 0)
    if (!this.#memory.reserve(bytes)) return failures.intakeBusy
    this.#envelopeBytes += bytes
    const options = readOptions(header, fields)
    if ('smtp' in options) return options
    const stream = options.stream === '' ? null : (this.#owner as MessageOwner).stream(options.stream)
    if (options.stream !== '' && stream === null) return failures.streamUnknown
    this.#options = stream === null ? options : withDefaults(options, stream.defaults)
    this.#mailClass = options.mailClass ?? stream?.mailClass ?? this.#mailClass
    if (options.idempotencyKey !== '') {
      this.#hash = createHash('sha256')
        .update(JSON.stringify([this.returnPath, this.recipients]))
        .update(header)
    }
    return null
  }
}

/** Lines that do not continue another; the empty one at the end is not a field. */
function fieldCount(header: Buffer): number {
  let count = 0
  for (let at = 0; at >= 0 && at < header.length - 2; ) {
    if (header[at] !== 0x20 && header[at] !== 0x09) count++
    const lf = header.indexOf(0x0a, at)
    at = lf < 0 ? -1 : lf + 1
  }
  return count
}
