/** Port `messages`: reads what a grant names from the spool, and hands it to compose. In any thread: what lies in the window is copied, then asked for again. */
import { prepare } from '../compose/compose.ts'
import type { Grant } from '../model/grant.ts'
import { type DsnRecipient, type DsnRequest, inLog, logOf } from '../model/submission.ts'
import { MessageDamaged, type Messages, type PreparedMessage } from '../ports/messages.ts'
import type { Signer } from '../ports/signer.ts'
import { wireAddress } from '../standards/address.ts'
import { type RecordReader, type RecordView, readSubmission, type StoredSubmission } from '../spool/spool.ts'

export function createMessages(records: RecordReader, signer: Signer): Messages {
  return {
    open(grant) {
      const view = records.fromWindow(grant.place, grant.number)
      if (view === null) return openFromFile(records, signer, grant)
      let opened: PreparedMessage | Promise<PreparedMessage>
      try {
        opened = assemble(records, signer, grant, readSubmission(view.bytes, view.at), view.bytes)
      } catch (error) {
        if (records.stillThere(grant.place)) throw error
        return openFromFile(records, signer, grant)
      }
      if (records.stillThere(grant.place)) return opened
      // The log's owner, another thread, wrote over it meanwhile.
      if (opened instanceof Promise) opened.catch(ignore)
      else opened.release()
      return openFromFile(records, signer, grant)
    },
  }
}

type StoredAt = Pick<Grant, 'number' | 'place' | 'recipients'>

const ignore = (): void => {}

async function openFromFile(records: RecordReader, signer: Signer, grant: Grant): Promise<PreparedMessage> {
  const view = await records.fromFile(grant.place, grant.number)
  return assemble(records, signer, grant, readSubmission(view.bytes, view.at), view.bytes)
}

/** The same for whoever wants to look at it: unsigned, dots as they came. @throws MessageDamaged */
export async function openStored(
  records: RecordReader,
  number: number,
  place: number,
): Promise<{ readonly submission: StoredSubmission; readonly message: PreparedMessage }> {
  const { bytes, at } = await records.fromFile(place, number)
  const submission = readSubmission(bytes, at)
  const grant = { number, place, recipients: [] }
  return { submission, message: await assemble(records, noSigner, grant, { ...submission, dotLines: false }, bytes) }
}

const noSigner: Signer = { forDomain: () => null }

/** `bytes` may be the window, which moves on: a small message is copied by `prepare`, the rest of a large one here. */
function assemble(
  records: RecordReader,
  signer: Signer,
  grant: StoredAt,
  submission: StoredSubmission,
  bytes: Buffer,
): PreparedMessage | Promise<PreparedMessage> {
  const inline = bytes.subarray(submission.inlineOffset, submission.inlineOffset + submission.inlineBytes)
  const content =
    submission.chunks.length === 0 ? inline : new ChunkedContent(records, grant, submission, Buffer.from(inline))
  return prepare(
    {
      id: submission.id,
      tenant: submission.tenant,
      returnPath: wireAddress(submission.returnPath),
      recipients: grant.recipients.map((recipient) => wireAddress(submission.recipients[recipient] as string)),
      eightBit: submission.eightBit,
      smtpUtf8: submission.smtpUtf8,
      dsn: submission.dsn === undefined ? null : dsnOf(submission.dsn, grant.recipients),
      dotLines: submission.dotLines,
      addedHeaders: submission.addedHeaders,
      fromDomain: submission.fromDomain,
      acceptedAtMs: submission.acceptedAtMs,
      cuts: submission.cuts,
      contentBytes: submission.contentBytes,
      content,
    },
    signer,
  )
}

/** The part of it that speaks of these recipients. */
function dsnOf({ returns, envelopeId, recipients }: DsnRequest, granted: readonly number[]): DsnRequest {
  return { returns, envelopeId, recipients: granted.map((recipient) => recipients[recipient] as DsnRecipient) }
}

/** Content in chunk records with the rest in the commit record; holds one chunk at a time. */
class ChunkedContent {
  readonly #records: RecordReader
  readonly #number: number
  readonly #log: number
  readonly #submission: StoredSubmission
  readonly #inline: Buffer
  /** Start of each chunk in the content. */
  readonly #starts: number[] = []
  readonly #inlineStart: number
  #held: { index: number; bytes: Buffer } | null = null

  constructor(records: RecordReader, { number, place }: StoredAt, submission: StoredSubmission, inline: Buffer) {
    this.#records = records
    this.#number = number
    this.#log = logOf(place)
    this.#submission = submission
    this.#inline = inline
    let start = 0
    for (const chunk of submission.chunks) {
      this.#starts.push(start)
      start += chunk.bytes
    }
    this.#inlineStart = start
  }

  async read(position: number, bytesMax: number): Promise<Buffer> {
    if (position >= this.#inlineStart) {
      const at = position - this.#inlineStart
      return this.#inline.subarray(at, at + bytesMax)
    }
    const index = lastAtOrBefore(this.#starts, position)
    const bytes = await this.#chunk(index)
    const at = position - (this.#starts[index] as number)
    return bytes.subarray(at, at + bytesMax)
  }

  async #chunk(index: number): Promise<Buffer> {
    if (this.#held?.index === index) return this.#held.bytes
    const chunk = this.#submission.chunks[index]
    if (chunk === undefined) throw new MessageDamaged(`submission ${this.#submission.id} has no chunk ${index}`)
    const place = inLog(this.#log, chunk.position)
    const inWindow = this.#records.fromWindow(place, this.#number)
    let bytes = inWindow === null ? null : contentOf(inWindow)
    if (bytes === null || !this.#records.stillThere(place))
      bytes = contentOf(await this.#records.fromFile(place, this.#number, chunk.bytes))
    if (bytes.length !== chunk.bytes)
      throw new MessageDamaged(`chunk ${index} of ${this.#submission.id} has another length`)
    this.#held = { index, bytes }
    return bytes
  }
}

const contentOf = ({ bytes, at, payloadBytes }: RecordView): Buffer =>
  Buffer.from(bytes.subarray(at, at + payloadBytes))

/** Index of the last entry ≤ value in a rising list that starts with 0. */
function lastAtOrBefore(starts: readonly number[], value: number): number {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((starts[middle] as number) <= value) low = middle
    else high = middle - 1
  }
  return low
}
