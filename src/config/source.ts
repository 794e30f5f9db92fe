/** The file as a YAML document that knows the line and column of everything in it. */
import { Document, LineCounter, parseDocument, type ParsedNode } from 'yaml'
import { formatBytes } from '../kernel/units.ts'
import { fileBytesMax } from './limits.ts'
import { ConfigError, type Place, type Problem } from './problems.ts'

export interface Source {
  /** Null: there is no file, only defaults. */
  readonly file: string | null
  /** Directory that relative paths start from. */
  readonly directory: string
  readonly document: Document.Parsed | Document
  /** Null for what is not in the file. */
  placeOf(node: unknown): Place | null
}

export function emptySource(directory: string): Source {
  return { file: null, directory, document: new Document({}), placeOf: () => null }
}

/** Throws a ConfigError that lists every fault of the YAML itself. */
export function parseSource(file: string, directory: string, bytes: Uint8Array): Source {
  const fault = (what: string, cure: string, place: Place | null = null): Problem => ({
    file,
    place,
    key: '',
    what,
    cure,
  })
  if (bytes.length > fileBytesMax.value)
    throw new ConfigError([fault(`is larger than ${formatBytes(fileBytesMax.value)}`, 'Name the right file.')])
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new ConfigError([fault('is not UTF-8 text', 'Save it as UTF-8, or name the right file.')])
  }
  const lines = new LineCounter()
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  let document: Document.Parsed
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  } catch (error) {
    // The parser descends once per level: a million open brackets are more than any stack holds.
    if (error instanceof RangeError) throw new ConfigError([fault('is nested too deeply', 'Name the right file.')])
    throw error
  }
  if (document.errors.length > 0) {
    throw new ConfigError(
      document.errors.map((error) =>
        fault(`is not valid YAML: ${error.message}`, cureOfYaml(error.code), place(error.pos[0])),
      ),
    )
  }
  return {
    file,
    directory,
    document,
    placeOf: (node) => {
      const range = (node as ParsedNode | null | undefined)?.range
      return range === null || range === undefined ? null : place(range[0])
    },
  }
}

function cureOfYaml(code: string): string {
  if (code === 'TAB_AS_INDENT') return 'Indent with spaces, never with tabs.'
  if (code === 'DUPLICATE_KEY') return 'Keep one of the two.'
  if (code === 'MULTIPLE_DOCS') return 'Remove the line --- that begins the second document.'
  return 'Check indentation, quotation marks and colons near this place.'
}
