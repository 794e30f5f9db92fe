/** Quoted-printable (RFC 2045 §6.7), of a whole text or of one block after the other. */

const tab = 0x09
const lf = 0x0a
const cr = 0x0d
const space = 0x20
const equals = 0x3d

/** §6.7 (2), (3): 1 for bytes that stand for themselves, white space at the end of a line excepted. */
const literal = new Uint8Array(256).fill(1, space, 0x7f)
literal[tab] = 1
literal[equals] = 0

/** §6.7 (5): 76, of which the "=" of a soft break needs one. */
const columns = 75
const hexDigits = Buffer.from('0123456789ABCDEF')

/** Any line end becomes CRLF. Blocks may be cut anywhere but within a CRLF. */
export class QuotedPrintable {
  /** Columns that the open line has left. */
  #left = columns

  /**
   * In turn: a run of literal bytes, as far as the line has room; then what ended it.
   * @param endsLine whether a line end follows behind the block, or nothing more
   */
  encode(bytes: Uint8Array, endsLine: boolean): Buffer {
    // Nothing becomes longer than three, and a line that is broken holds at least 73; the first one may be there already.
    const most = 3 * bytes.length
    const out = Buffer.allocUnsafe(most + 3 * Math.ceil((most + columns) / 73))
    let to = 0
    let left = this.#left
    for (let at = 0; at < bytes.length; ) {
      const start = at
      const stop = Math.min(bytes.length, at + left)
      while (at < stop && literal[bytes[at] as number] === 1) out[to++] = bytes[at++] as number
      // §6.7 (3): white space at the end of a line may be taken off on the way, so it is taken back and escaped.
      if (at > start && isTrailingSpace(bytes, at - 1, endsLine)) {
        at--
        to--
      }
      left -= at - start
      if (at === bytes.length) break
      const byte = bytes[at] as number
      if (byte === cr || byte === lf) {
        out[to++] = cr
        out[to++] = lf
        at += byte === cr && bytes[at + 1] === lf ? 2 : 1
        left = columns
      } else if (left >= 3 && (literal[byte] === 0 || isTrailingSpace(bytes, at, endsLine))) {
        out[to++] = equals
        out[to++] = hexDigits[byte >> 4] as number
        out[to++] = hexDigits[byte & 15] as number
        at++
        left -= 3
      } else {
        out[to++] = equals
        out[to++] = cr
        out[to++] = lf
        left = columns
      }
    }
    this.#left = left
    return out.subarray(0, to)
  }
}

function isTrailingSpace(bytes: Uint8Array, at: number, endsLine: boolean): boolean {
  if (bytes[at] !== space && bytes[at] !== tab) return false
  if (at + 1 === bytes.length) return endsLine
  return bytes[at + 1] === cr || bytes[at + 1] === lf
}
