/**
 * Reads a captured message for people: fields decoded, the text they would see, what is attached. Whatever arrives is shown somehow:
 * this is a viewer, so nothing is refused, and everything is bounded.
 */
import { decodeEncodedWords } from '../../standards/mime/encoded-words.ts'
import { shownDepthMax, shownHeaderBytesMax, shownPartsMax } from '../limits.ts'

export interface ReadMessage {
  readonly headers: readonly { readonly name: string; readonly value: string }[]
  /** The first text/plain and text/html part; null when there is none. */
  readonly text: string | null
  readonly html: string | null
  readonly attachments: readonly { readonly name: string; readonly type: string; readonly sizeBytes: number }[]
  /** A CR or LF stands alone somewhere: RFC 5321 §2.3.8 forbids it, and receivers refuse or mend it. */
  readonly bareLineEnds: boolean
}

interface Part {
  readonly bytes: Buffer
  readonly depth: number
}

export function readMessage(raw: Buffer): ReadMessage {
  const headers = fieldsOf(raw).map(({ name, value }) => ({ name, value: decodeEncodedWords(value) }))
  let text: string | null = null
  let html: string | null = null
  const attachments: { name: string; type: string; sizeBytes: number }[] = []
  // Parts to look at, next one last, so that they are met in the order of the message.
  const parts: Part[] = [{ bytes: raw, depth: 0 }]
  for (let seen = 0; parts.length > 0 && seen < shownPartsMax.value; seen++) {
    const part = parts.pop() as Part
    const fields = fieldsOf(part.bytes)
    const { type, parameters } = contentType(valueOf(fields, 'content-type'))
    const boundary = parameters.get('boundary')
    if (type.startsWith('multipart/') && boundary !== undefined && part.depth < shownDepthMax.value) {
      const children = splitParts(bodyOf(part.bytes), boundary).map((bytes) => ({ bytes, depth: part.depth + 1 }))
      parts.push(...children.reverse())
      continue
    }
    const disposition = contentType(valueOf(fields, 'content-disposition'))
    const body = decodeTransfer(bodyOf(part.bytes), valueOf(fields, 'content-transfer-encoding'))
    const attached = disposition.type === 'attachment'
    if (!attached && type === 'text/plain' && text === null) text = decodeText(body, parameters.get('charset'))
    else if (!attached && type === 'text/html' && html === null) html = decodeText(body, parameters.get('charset'))
    else {
      const name = disposition.parameters.get('filename') ?? parameters.get('name') ?? ''
      attachments.push({ name: decodeEncodedWords(name), type, sizeBytes: body.length })
    }
  }
  return { headers, text, html, attachments, bareLineEnds: hasBareLineEnds(raw) }
}

/** Where the header ends, its last CRLF included, and the body begins. */
function split(bytes: Buffer): { headerEnd: number; bodyStart: number } {
  if (bytes[0] === 0x0d && bytes[1] === 0x0a) return { headerEnd: 0, bodyStart: 2 }
  const end = bytes.indexOf('\r\n\r\n')
  return end === -1 ? { headerEnd: bytes.length, bodyStart: bytes.length } : { headerEnd: end + 2, bodyStart: end + 4 }
}

function bodyOf(bytes: Buffer): Buffer {
  return bytes.subarray(split(bytes).bodyStart)
}

interface Field {
  readonly name: string
  readonly value: string
}

/** RFC 5322 §2.2.3: a line that begins with white space continues the one before. RFC 6532: UTF-8 may stand as it is. */
function fieldsOf(bytes: Buffer): Field[] {
  const header = decodeText(bytes.subarray(0, Math.min(split(bytes).headerEnd, shownHeaderBytesMax.value)), 'utf-8')
  const lines = header.replace(/\r\n(?=[ \t])/g, '').split('\r\n')
  const fields: Field[] = []
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.push({ name: line.slice(0, colon).trimEnd(), value: line.slice(colon + 1).trim() })
  }
  return fields
}

function valueOf(fields: readonly Field[], name: string): string {
  return fields.find((field) => field.name.toLowerCase() === name)?.value ?? ''
}

/** RFC 2045 §5.1, and RFC 2231 §4 for names in other character sets. RFC 2045 §5.2: text/plain when nothing is said. */
function contentType(value: string): { type: string; parameters: Map<string, string> } {
  const parameters = new Map<string, string>()
  for (const match of value.matchAll(/;\s*([^\s=;]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))/g)) {
    const name = (match[1] as string).toLowerCase()
    const given = match[2]?.replace(/\\(.)/g, '$1') ?? match[3] ?? ''
    if (name.endsWith('*')) parameters.set(name.slice(0, -1), decodeExtended(given))
    else if (!parameters.has(name)) parameters.set(name, given)
  }
  return { type: /^[^\s;]+/.exec(value)?.[0]?.toLowerCase() ?? 'text/plain', parameters }
}

function decodeExtended(value: string): string {
  const [charset = '', , text = value] = value.split("'", 3)
  const bytes = text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return decodeText(Buffer.from(bytes, 'latin1'), charset)
}

/** RFC 2046 §5.1.1. A delimiter begins a line; what is before the first and after the last is not shown. */
function splitParts(body: Buffer, boundary: string): Buffer[] {
  const delimiter = Buffer.from(`--${boundary}`, 'utf8')
  const parts: Buffer[] = []
  let partStart = -1
  for (
    let at = body.indexOf(delimiter);
    at !== -1 && parts.length < shownPartsMax.value;
    at = body.indexOf(delimiter, at + 1)
  ) {
    if (at > 0 && body[at - 1] !== 0x0a) continue
    if (partStart !== -1) parts.push(body.subarray(partStart, Math.max(partStart, at - 2)))
    const lineEnd = body.indexOf('\r\n', at)
    partStart = lineEnd === -1 ? body.length : lineEnd + 2
    if (body.toString('latin1', at + delimiter.length, at + delimiter.length + 2) === '--') return parts
  }
  // The closing delimiter is missing: what there is of the last part is shown.
  if (partStart !== -1 && partStart < body.length) parts.push(body.subarray(partStart))
  return parts
}

/** RFC 2045 §6. */
function decodeTransfer(body: Buffer, encoding: string): Buffer {
  switch (encoding.toLowerCase()) {
    case 'base64':
      return Buffer.from(body.toString('latin1'), 'base64')
    case 'quoted-printable':
      return decodeQuoted(body.toString('latin1').replace(/=[ \t]*\r\n/g, ''))
    default:
      return body
  }
}

function decodeQuoted(text: string): Buffer {
  const plain = text.replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(plain, 'latin1')
}

/** An unknown character set is shown as UTF-8, with replacement characters where it is not. */
function decodeText(bytes: Buffer, charset = 'utf-8'): string {
  try {
    return new TextDecoder(charset).decode(bytes)
  } catch {
    return new TextDecoder().decode(bytes)
  }
}

function hasBareLineEnds(raw: Buffer): boolean {
  for (let at = raw.indexOf(0x0a); at !== -1; at = raw.indexOf(0x0a, at + 1)) if (raw[at - 1] !== 0x0d) return true
  for (let at = raw.indexOf(0x0d); at !== -1; at = raw.indexOf(0x0d, at + 1)) if (raw[at + 1] !== 0x0a) return true
  return false
}
