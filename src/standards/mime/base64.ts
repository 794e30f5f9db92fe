/** Base64 in lines of 76 characters (RFC 2045 §6.8), block by block. */

const alphabet = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')
const padding = 0x3d
/** 76 letters. */
const lineBytes = 57
/** 840 × 78 = 65,520 octets of base64: about as much as one write to a socket takes. */
const blockLines = 840
const blockBytes = blockLines * lineBytes

/** Both letters of 12 bits, as they lie in memory: a line is 39 pairs, so the place of each is even. */
const pairs = letterPairs()
const crlf = new Uint16Array(Uint8Array.of(0x0d, 0x0a).buffer)[0] as number

function letterPairs(): Uint16Array {
  const letters = new Uint8Array(2 * 4096)
  for (let bits = 0; bits < 4096; bits++) {
    letters[2 * bits] = alphabet[bits >> 6] as number
    letters[2 * bits + 1] = alphabet[bits & 63] as number
  }
  return new Uint16Array(letters.buffer)
}

/** Octets that `base64Blocks` gives for so many bytes. */
export function base64Bytes(contentBytes: number): number {
  const breaks = Math.max(0, Math.ceil(contentBytes / lineBytes) - 1)
  return 4 * Math.ceil(contentBytes / 3) + 2 * breaks
}

/** Every line but the last ends in CRLF. */
export function* base64Blocks(content: Uint8Array): Generator<Buffer, void> {
  for (let start = 0; start < content.length; start += blockBytes) {
    const end = Math.min(start + blockBytes, content.length)
    const block = base64Lines(content, start, end)
    yield end === content.length ? block.subarray(0, -2) : block
  }
}

/** The same of content that comes in pieces of any size. */
export function* base64OfPieces(pieces: Iterable<Uint8Array>): Generator<Buffer, void> {
  const held = new Uint8Array(blockBytes)
  let bytes = 0
  for (const piece of pieces) {
    for (let from = 0; from < piece.length; ) {
      if (bytes === blockBytes) {
        yield base64Lines(held, 0, bytes)
        bytes = 0
      }
      const taken = piece.subarray(from, from + blockBytes - bytes)
      held.set(taken, bytes)
      bytes += taken.length
      from += taken.length
    }
  }
  if (bytes > 0) yield base64Lines(held, 0, bytes).subarray(0, -2)
}

/** Lines of `content[start…end)`, each with its CRLF. */
function base64Lines(content: Uint8Array, start: number, end: number): Buffer {
  const lines = Math.ceil((end - start) / lineBytes)
  const out = new Uint16Array(2 * Math.ceil((end - start) / 3) + lines)
  let to = 0
  let at = start
  while (end - at > lineBytes) {
    to = encodeTriples(content, at, at + lineBytes, out, to)
    out[to++] = crlf
    at += lineBytes
  }
  const whole = end - ((end - at) % 3)
  to = encodeTriples(content, at, whole, out, to)
  const octets = Buffer.from(out.buffer)
  if (whole < end) {
    encodeRest(content, whole, end, octets, 2 * to)
    to += 2
  }
  out[to] = crlf
  return octets
}

function encodeTriples(content: Uint8Array, start: number, end: number, out: Uint16Array, to: number): number {
  for (let i = start; i < end; i += 3) {
    const bits = ((content[i] as number) << 16) | ((content[i + 1] as number) << 8) | (content[i + 2] as number)
    out[to++] = pairs[bits >> 12] as number
    out[to++] = pairs[bits & 0xfff] as number
  }
  return to
}

/** One or two bytes at the very end. */
function encodeRest(content: Uint8Array, start: number, end: number, octets: Buffer, to: number): void {
  const first = content[start] as number
  const second = end - start === 2 ? (content[start + 1] as number) : 0
  octets[to] = alphabet[first >> 2] as number
  octets[to + 1] = alphabet[((first & 3) << 4) | (second >> 4)] as number
  octets[to + 2] = end - start === 2 ? (alphabet[(second & 15) << 2] as number) : padding
  octets[to + 3] = padding
}
