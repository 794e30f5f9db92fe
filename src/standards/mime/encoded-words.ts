/** RFC 2047: text in headers that is not plain ASCII, as words like =?utf-8?Q?Gr=C3=BC=C3=9Fe?= that pass for ASCII: written, and read. */
import { charsetChangesMax } from '../limits.ts'
import { encodedWordCharacters, fieldColumns } from './fold.ts'

const start = '=?utf-8?'
const end = '?='
/** `=?utf-8?Q?` and `?=`. */
const frameCharacters = start.length + 2 + end.length
/** Below this a first word is not worth the place that the field's name left for it. */
const roomWanted = 32

/** RFC 2047 §5 (3): the letters that may stand for themselves in a phrase; they may everywhere else too. */
const wordLetters = letterTable(/[A-Za-z0-9!*+/-]/, '=')
wordLetters[0x20] = '_'

/**
 * Words that decode to `text`. `columnsTaken` is where the first one begins. Each is a token of its own (§2) with whole characters
 * only (§5): the split never falls into the bytes of one.
 */
export function encodedWords(text: string, columnsTaken: number): string[] {
  const bytes = Buffer.from(text)
  const left = fieldColumns - columnsTaken
  const room = encodedWordCharacters - frameCharacters
  const firstRoom = left < roomWanted ? room : Math.min(encodedWordCharacters, left) - frameCharacters
  let qCharacters = 0
  for (let i = 0; i < bytes.length; i++) qCharacters += (wordLetters[bytes[i] as number] as string).length
  const useQ = qCharacters <= 4 * Math.ceil(bytes.length / 3)
  const words = useQ ? packCharacters(bytes, wordLetters, firstRoom, room) : packBase64(bytes, firstRoom, room)
  return words.map((word) => `${start}${useQ ? 'Q' : 'B'}?${word}${end}`)
}

/** How each byte is written: itself when `plain` says so, otherwise escaped as `=C3` or `%C3`. */
export function letterTable(plain: RegExp, escape: '=' | '%'): string[] {
  return Array.from({ length: 256 }, (_, byte) => {
    const letter = String.fromCharCode(byte)
    return plain.test(letter) ? letter : escape + byte.toString(16).toUpperCase().padStart(2, '0')
  })
}

/** UTF-8 written by a table, in strings of at most so many characters, each with whole code points. */
export function packCharacters(bytes: Buffer, table: readonly string[], firstRoom: number, room: number): string[] {
  const packed: string[] = []
  let text = ''
  let left = firstRoom
  for (let i = 0; i < bytes.length; ) {
    let codePoint = table[bytes[i++] as number] as string
    while (i < bytes.length && isContinuation(bytes[i] as number)) codePoint += table[bytes[i++] as number] as string
    if (codePoint.length > left) {
      packed.push(text)
      text = ''
      left = room
    }
    text += codePoint
    left -= codePoint.length
  }
  packed.push(text)
  return packed
}

function packBase64(bytes: Buffer, firstRoom: number, room: number): string[] {
  const packed: string[] = []
  for (let from = 0; from < bytes.length; ) {
    let to = Math.min(bytes.length, from + Math.floor((from === 0 ? firstRoom : room) / 4) * 3)
    while (to < bytes.length && isContinuation(bytes[to] as number)) to--
    packed.push(bytes.toString('base64', from, to))
    from = to
  }
  return packed
}

const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80

/** RFC 2047 §2. The text has no "?" and no space; B is base64 with or without its padding. */
const encodedWord = /=\?([^?\s]{1,75})\?(?:([Bb])\?([A-Za-z0-9+/]*={0,2})|[Qq]\?([^?\s]*))\?=/g

/**
 * A field's value as people read it (RFC 2047 §6): encoded words decoded, and the white space between two of them gone. What is no
 * encoded word, or in a character set that nobody here knows, stays as it is.
 */
export function decodeEncodedWords(value: string): string {
  if (!value.includes('=?')) return value
  let text = ''
  /** Where the last word ended. */
  let after = 0
  let decoder: TextDecoder | null = null
  let charset = ''
  let changesLeft = charsetChangesMax.value
  // Some split a character's bytes between words (§5 forbids it), so words of one character set are decoded together.
  let bytes: Buffer[] = []
  for (const match of value.matchAll(encodedWord)) {
    // RFC 2231 §5: a language may follow the character set.
    const wordCharset = (match[1] as string).split('*', 1)[0] as string
    if (wordCharset !== charset && changesLeft-- === 0) break
    const wordDecoder: TextDecoder | null = wordCharset === charset ? decoder : decoderOf(wordCharset)
    if (wordDecoder === null) continue
    charset = wordCharset
    const between = value.slice(after, match.index)
    const adjacent = decoder !== null && between.trim() === ''
    if (!adjacent || wordDecoder !== decoder) {
      text += decoder?.decode(Buffer.concat(bytes)) ?? ''
      bytes = []
    }
    if (!adjacent) text += between
    decoder = wordDecoder
    bytes.push(match[2] === undefined ? decodeQ(match[4] as string) : Buffer.from(match[3] as string, 'base64'))
    after = match.index + match[0].length
  }
  return text + (decoder?.decode(Buffer.concat(bytes)) ?? '') + value.slice(after)
}

/** Null: there is no such character set. */
function decoderOf(charset: string): TextDecoder | null {
  try {
    return new TextDecoder(charset)
  } catch {
    return null
  }
}

/** §4.2. */
function decodeQ(word: string): Buffer {
  const letters = word
    .replaceAll('_', ' ')
    .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(letters, 'latin1')
}

/** Controls, and what makes a terminal show the rest of a line backwards (Unicode TR #36 §3.5). */
const harmful = /[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu

/** Each character may be an encoded word of its own, of a dozen bytes. */
const bytesPerCharacter = 16

/**
 * A field's value, `bytes[start…end)`, as one line for people: unfolded, decoded, raw UTF-8 taken for what it is (RFC 6532), what is harmful
 * replaced by U+FFFD, and clipped.
 */
export function readableText(bytes: Buffer, start: number, end: number, charactersMax: number): string {
  const clipped = Math.min(end, start + charactersMax * bytesPerCharacter)
  const written = bytes.toString('utf8', start, clipped)
  // RFC 5322 §2.2.3: a fold is a CRLF in front of white space.
  const line = written.includes('\n') ? written.replaceAll('\r\n', '') : written
  const text = decodeEncodedWords(line.replaceAll('\t', ' ')).trim()
  if (text.length <= charactersMax && /^[ -~]*$/.test(text)) return text
  const safe = text.slice(0, charactersMax).replace(harmful, '\ufffd')
  // Not half of a surrogate pair.
  return safe.isWellFormed() ? safe : safe.slice(0, -1)
}
