/** The mail that a notice is about, as it was sent: what the record of its submission leads to. */
import type { DsnRequest } from '../model/submission.ts'
import { MessageDamaged, type PreparedMessage } from '../ports/messages.ts'
import type { RecordReader } from '../spool/spool.ts'
import { headerEnd } from '../standards/header.ts'
import { originalHeaderBytesMax } from './limits.ts'
import { openStored } from './messages.ts'

export interface Original {
  /** Whole fields. */
  readonly header: Buffer
  /** What follows the empty line; null when only the header goes back. */
  readonly body: Buffer | null
  readonly smtpUtf8: boolean
  readonly dsn: DsnRequest | undefined
}

/** Null when it is not there any more, is damaged, or the disk cannot give it back. */
export async function readOriginal(
  records: RecordReader,
  number: number,
  place: number,
  returnsWhole: (asked: DsnRequest['returns'], bytes: number) => boolean,
): Promise<Original | null> {
  // An outcome of a former version does not tell.
  if (place === 0) return null
  try {
    const { submission, message } = await openStored(records, number, place)
    try {
      const { smtpUtf8, dsn } = submission
      const whole = returnsWhole(dsn?.returns ?? '', message.sizeBytes)
      const bytes = await readUpTo(message, whole ? message.sizeBytes : originalHeaderBytesMax.value)
      const end = headerEnd(bytes)
      return { header: bytes.subarray(0, end), body: whole ? bytes.subarray(end + 2) : null, smtpUtf8, dsn }
    } finally {
      message.release()
    }
  } catch (error) {
    // A bad sector: nobody shall die of it again and again.
    if (error instanceof MessageDamaged || (error as NodeJS.ErrnoException).syscall !== undefined) return null
    throw error
  }
}

async function readUpTo(message: PreparedMessage, bytesMax: number): Promise<Buffer> {
  const blocks: Buffer[] = []
  let bytes = 0
  for (let block = await message.read(); block !== null && bytes < bytesMax; block = await message.read()) {
    blocks.push(Buffer.from(block))
    bytes += block.length
  }
  return Buffer.concat(blocks)
}
