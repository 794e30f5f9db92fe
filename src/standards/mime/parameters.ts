/** Content-Type, Content-Disposition and Content-ID of a part, with their parameters (RFC 2045 §5.1, 2183, 2231). */
import { lineBytesMax } from '../limits.ts'
import { letterTable, packCharacters } from './encoded-words.ts'
import { fieldColumns, foldedField } from './fold.ts'
import { MimeProblem, refuseLineBreaks } from './problem.ts'

const token = "[\\w!#$%&'*+.^`{|}~-]+"
const mediaType = new RegExp(`^${token}/${token}`)
const parameter = new RegExp(`[ \\t]*;[ \\t]*(${token}=(?:${token}|"(?:[ !#-\\[\\]-~]|\\\\[ -~])*"))`, 'y')

/** A type and its parameters, as the tokens of a field. */
export interface MediaType {
  /** `type/subtype` in lower case. */
  readonly type: string
  readonly tokens: readonly string[]
}

export function parseMediaType(value: string, pointer: string): MediaType {
  refuseLineBreaks(value, pointer)
  const problem = (what: string, cure: string): MimeProblem =>
    new MimeProblem('content_type_invalid', pointer, what, cure)
  // Half a line, so that no parameter can be longer than one.
  const [type] = value.length > lineBytesMax.value / 2 ? [] : (mediaType.exec(value) ?? [])
  const tokens = type === undefined ? null : parameters(value, type)
  if (type === undefined || tokens === null)
    throw problem('is not a media type', 'Write type/subtype, such as image/png or text/csv; charset=utf-8.')
  if (/^multipart\//i.test(type))
    throw problem('an attachment cannot be a multipart', 'Attach its parts one by one, or the whole as message/rfc822.')
  return { type: type.toLowerCase(), tokens }
}

/** Null when what follows the type is not a list of parameters. */
function parameters(value: string, type: string): string[] | null {
  const found = [type]
  let at = type.length
  while (at < value.length) {
    parameter.lastIndex = at
    const match = parameter.exec(value)
    if (match === null) return /^[ \t;]*$/.test(value.slice(at)) ? found : null
    found.push(match[1] as string)
    at = parameter.lastIndex
  }
  return found
}

/** A field of a value and its parameters, folded between them. */
export function parameterField(name: string, tokens: readonly string[]): string {
  return foldedField(
    name,
    tokens.map((text, i) => (i === tokens.length - 1 ? text : `${text};`)),
  )
}

/** RFC 2231 §7: attribute-char. */
const attributeLetters = letterTable(/[\w!#$&+.^`{|}~-]/, '%')
const charset = "utf-8''"
/** `; filename*10*=` and the semicolon behind it. */
const sectionColumns = fieldColumns - ' filename*10*=;'.length
/** No reader has trouble with a long line, but some have with sections: an ASCII name is only cut where file systems end it. */
const plainNameCharacters = 255
const fallbackCharacters = 60

/**
 * RFC 2183 §2.3. A name that is not plain ASCII goes by RFC 2231, in sections when it is long, behind an ASCII name for readers that
 * know nothing else.
 */
export function disposition(kind: 'inline' | 'attachment', filename: string): string {
  if (filename === '') return parameterField('Content-Disposition', [kind])
  if (
    /^[!#-[\]-~]+(?: [!#-[\]-~]+)*$/.test(filename) &&
    filename.length <= plainNameCharacters &&
    !filename.includes('=?')
  )
    return parameterField('Content-Disposition', [kind, `filename="${filename}"`])
  const sections = packCharacters(
    Buffer.from(filename),
    attributeLetters,
    sectionColumns - charset.length,
    sectionColumns,
  )
  const encoded =
    sections.length === 1
      ? [`filename*=${charset}${sections[0]}`]
      : sections.map((text, i) => `filename*${i}*=${i === 0 ? charset : ''}${text}`)
  return parameterField('Content-Disposition', [kind, `filename="${asciiName(filename)}"`, ...encoded])
}

/** "Übersicht 2026.pdf" → "Ubersicht 2026.pdf"; what has no ASCII letter becomes "_". A long one keeps its extension. */
function asciiName(filename: string): string {
  const ascii = filename
    .slice(0, 4 * plainNameCharacters)
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^ !#-[\]-~]/gu, '_')
    .replaceAll('=?', '__')
  if (ascii.length <= fallbackCharacters) return ascii
  const extension = /\.\w{1,10}$/.exec(ascii)?.[0] ?? ''
  return ascii.slice(0, fallbackCharacters - extension.length) + extension
}

/** RFC 2045 §7, as most write it: without a domain it is as unique as it needs to be inside one message. */
export function contentIdField(contentId: string, pointer: string): string {
  refuseLineBreaks(contentId, pointer)
  if (!/^[!-;=?-~]{1,250}$/.test(contentId)) {
    throw new MimeProblem(
      'content_id_invalid',
      pointer,
      'is not a content identifier',
      'Use 1 to 250 printable ASCII characters without spaces and angle brackets, such as logo or logo@example.com.',
    )
  }
  return `Content-ID: <${contentId}>\r\n`
}
