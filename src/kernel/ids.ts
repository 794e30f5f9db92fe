/** Public identifiers: UUID version 7 (RFC 9562 §5.7), 16 bytes, sortable by time of creation to the millisecond. */
import type { Clock } from './clock.ts'
import type { Random } from './random.ts'

const scratch = new Uint8Array(16)
const hexPairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** A new id as its 36-character text. */
export function uuidV7(clock: Clock, random: Random): string {
  const ms = clock.nowMs()
  const high = Math.floor(ms / 2 ** 32)
  scratch[0] = high >>> 8
  scratch[1] = high
  scratch[2] = ms >>> 24
  scratch[3] = ms >>> 16
  scratch[4] = ms >>> 8
  scratch[5] = ms
  const a = random.uint32()
  const b = random.uint32()
  const c = random.uint32()
  scratch[6] = 0x70 | (a & 0x0f)
  scratch[7] = a >>> 8
  scratch[8] = 0x80 | ((a >>> 16) & 0x3f)
  scratch[9] = a >>> 24
  for (let i = 0; i < 4; i++) scratch[10 + i] = b >>> (8 * i)
  scratch[14] = c
  scratch[15] = c >>> 8
  return uuidText(scratch, 0)
}

/** Text of the 16 bytes at `offset`. */
export function uuidText(bytes: Uint8Array, offset: number): string {
  let text = ''
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-'
    text += hexPairs[bytes[offset + i] as number]
  }
  return text
}

/** The 16 bytes of a UUID's text, or null when it is not one. */
export function uuidBytes(text: string): Buffer | null {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)) return null
  return Buffer.from(text.replaceAll('-', ''), 'hex')
}

/** Writes the 16 bytes of a UUID's text, which must be one: no check, for ids of our own making. */
export function writeUuid(into: Uint8Array, at: number, text: string): void {
  for (let i = 0, from = 0; i < 16; i++, from += 2) {
    if (from === 8 || from === 13 || from === 18 || from === 23) from += 1
    into[at + i] = (nibble(text.charCodeAt(from)) << 4) | nibble(text.charCodeAt(from + 1))
  }
}

/** '0'…'9', 'a'…'f' and 'A'…'F'. */
const nibble = (code: number): number => (code < 58 ? code - 48 : (code | 32) - 87)

/** When a version 7 id was made, milliseconds since 1970. */
export function uuidTimeMs(bytes: Uint8Array): number {
  let ms = 0
  for (let i = 0; i < 6; i++) ms = ms * 256 + (bytes[i] as number)
  return ms
}

/** The id that these say: a time, and 10 bytes of which 74 bits are taken. */
export function uuidV7From(ms: number, bytes: Uint8Array): string {
  const id = new Uint8Array(16)
  for (let i = 5, rest = ms; i >= 0; i--, rest = Math.floor(rest / 256)) id[i] = rest
  id.set(bytes.subarray(0, 10), 6)
  id[6] = 0x70 | ((id[6] as number) & 0x0f)
  id[8] = 0x80 | ((id[8] as number) & 0x3f)
  return uuidText(id, 0)
}
