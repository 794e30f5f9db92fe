/** RFC 2047: text in headers that is not plain ASCII, as words like =?utf-8?Q?Gr=C3=BC=C3=9Fe?= that pass for ASCII. */
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
