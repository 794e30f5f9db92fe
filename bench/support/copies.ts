/**
 * Where bytes of content are copied in user space between the client's socket and the receiver's, found by reading the code. Each entry
 * quotes the line that copies, and whoever prints the list is told when a quotation is no longer in its file.
 */
import { readFileSync } from 'node:fs'

interface Copy {
  readonly from: string
  readonly to: string
  /** Under src/. */
  readonly file: string
  readonly line: string
  /** Which messages; '' is every one. */
  readonly when: string
}

const copies: readonly Copy[] = [
  {
    from: 'bytes read from the client',
    to: 'stage of the transaction',
    file: 'spool/submission-log.ts',
    line: 'bytes.copy(this.stage, this.stagedBytes, start, end)',
    when: '',
  },
  {
    from: 'stage',
    to: 'window of the log, which is what pwrite writes',
    file: 'spool/submission-log.ts',
    line: 'transaction.stage.copy(window, inlineAt, 0, transaction.stagedBytes)',
    when: '',
  },
  {
    from: 'window of the log',
    to: 'wire form, which is what writev sends',
    file: 'compose/small.ts',
    line: 'content.copy(wire, at, headerEnd)',
    when: '',
  },
  {
    from: 'stage of 16 KiB',
    to: 'stage of 128 KiB, what came so far',
    file: 'spool/submission-log.ts',
    line: 'this.stage.copy(larger, 0, 0, this.stagedBytes)',
    when: 'above 16 KiB',
  },
  {
    from: 'stage',
    to: 'window, as a chunk, in place of the copy of the stage above',
    file: 'spool/submission-log.ts',
    line: 'transaction.stage.copy(this.#writer.channel.window, this.#writer.payloadOffset, 0, bytes)',
    when: 'above 64 KiB',
  },
  {
    from: 'window or file',
    to: 'chunk that is being sent, in place of the wire form',
    file: 'app/messages.ts',
    line: 'Buffer.from(bytes.subarray(at, at + payloadBytes))',
    when: 'above 64 KiB',
  },
  {
    from: 'bytes read from the client',
    to: 'header that is surveyed, the header only',
    file: 'intake/smtp/message.ts',
    line: 'bytes.copy(header, before, start, start + size - before)',
    when: 'header in several pieces',
  },
  {
    from: 'wire form',
    to: 'what a signature covers, the header only',
    file: 'compose/head.ts',
    line: 'stored.copy(header, header.write(message.addedHeaders',
    when: 'signed',
  },
]

/** Lines for people; a copy that is not where it was gets a warning. */
export function describeCopies(): { rows: string[][]; outdated: string[] } {
  const outdated = copies.filter(({ file, line }) => !readSource(file).includes(line))
  return {
    rows: copies.map(({ from, to, file, when }) => [when === '' ? 'every message' : when, from, to, `src/${file}`]),
    outdated: outdated.map(({ file, line }) => `src/${file}: ${line}`),
  }
}

function readSource(file: string): string {
  try {
    return readFileSync(new URL(`../../src/${file}`, import.meta.url), 'utf8')
  } catch {
    return ''
  }
}
