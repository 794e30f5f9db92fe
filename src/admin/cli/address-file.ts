/**
 * Addresses in a file, one in a line or in the first column of a CSV file, in UTF-8. Read piece by piece, so that it may be of any length; and read
 * twice, so that nothing is done by a list of which a part is wrong.
 */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { PosthasteError } from '../../kernel/errors.ts'
import { KiB } from '../../kernel/units.ts'
import { parseAddress } from '../../standards/address.ts'
import { addressLineCharactersMax } from '../limits.ts'

/** Throws `lines_wrong`, which names them, unless every line has an address; empty lines and one of titles do not count. Returns how many there are. */
export async function checkAddressFile(path: string): Promise<number> {
  let addresses = 0
  const wrong: string[] = []
  let wrongCount = 0
  for await (const { line, text } of linesOf(path)) {
    const read = text === null ? { problem: 'the line is too long' } : parseAddress(text)
    if (read.problem === null) addresses += 1
    else if (++wrongCount <= wrongShown) wrong.push(`line ${line}: ${show(text ?? '')}${read.problem}`)
  }
  if (wrongCount === 0) return addresses
  const more = wrongCount > wrongShown ? [`and ${wrongCount - wrongShown} more`] : []
  const message = `${path}: ${wrongCount} of ${wrongCount + addresses} lines have no address, so nothing was done`
  const cure = 'Correct the lines: one address in each, like ann@example.com, or in the first column.'
  throw new PosthasteError('lines_wrong', [message, ...wrong, ...more].join('\n    '), cure, { exitCode: 65 })
}

/** After the check. */
export async function* readAddressFile(path: string): AsyncGenerator<string> {
  for await (const { text } of linesOf(path)) if (text !== null) yield text
}

const wrongShown = 20

const show = (text: string): string => (text === '' ? '' : `${JSON.stringify(text.slice(0, 60))}: `)

interface Line {
  /** From 1. */
  readonly line: number
  /** The first column; null: the line is too long. */
  readonly text: string | null
}

/** Lines with something in their first column. */
async function* linesOf(path: string): AsyncGenerator<Line> {
  const decoder = new TextDecoder()
  let line = 0
  /** What is known of a line that has not ended; null: too much. */
  let begun: string | null = ''
  for await (const piece of piecesOf(path)) {
    const parts = decoder.decode(piece, { stream: true }).split('\n')
    for (const [index, part] of parts.entries()) {
      begun = begun === null || begun.length + part.length > addressLineCharactersMax.value ? null : begun + part
      if (index === parts.length - 1) break
      const text = begun === null ? null : firstColumn(begun)
      begun = ''
      line += 1
      if (text !== '' && !(line === 1 && isTitle(text))) yield { line, text }
    }
  }
  const text = begun === null ? null : firstColumn(begun + decoder.decode())
  if (text !== '' && !(line === 0 && isTitle(text))) yield { line: line + 1, text }
}

async function* piecesOf(path: string): AsyncGenerator<Buffer> {
  try {
    // What is no file, such as a pipe, cannot be read a second time.
    if (!(await stat(path)).isFile()) throw new Error('it is no file')
    let first = true
    for await (const piece of createReadStream(path, { highWaterMark: 64 * KiB })) {
      const bytes = piece as Buffer
      if (first && (bytes[0] === 0xff || bytes[0] === 0xfe))
        throw new PosthasteError('file_utf16', `${path} is not UTF-8`, 'Save it as UTF-8.', { exitCode: 65 })
      first = false
      yield bytes
    }
  } catch (error) {
    if (error instanceof PosthasteError) throw error
    const message = `cannot read ${path}: ${(error as Error).message}`
    throw new PosthasteError('file_unreadable', message, 'Name a file that you may read.', {
      exitCode: 74,
      cause: error,
    })
  }
}

/** RFC 4180, and what spreadsheets make of it: a comma, a semicolon or a tab ends it, unless it stands in quotes. */
function firstColumn(line: string): string {
  const quoted = /^\s*"((?:[^"]|"")*)"\s*(?:[,;\t]|$)/.exec(line)
  if (quoted !== null) return (quoted[1] as string).replaceAll('""', '"').trim()
  const end = line.search(/[,;\t]/)
  // A local part in quotes may hold any of them.
  return (end < 0 || line.trimStart().startsWith('"') ? line : line.slice(0, end)).trim()
}

const isTitle = (text: string | null): boolean =>
  text !== null && /^(e-?mail([ _-]?address)?|address|recipient)$/i.test(text)
