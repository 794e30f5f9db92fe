/**
 * Lines whose ends may be any, made to end in CRLF. Two passes over the bytes and at most one allocation, of the very size: 25 MB may be
 * twelve million lines, and whatever is made for each of them, an object or a call, adds up to seconds.
 */

const lf = 0x0a
const cr = 0x0d

export interface LineSurvey {
  /** CRs and LFs that are not part of a CRLF. */
  readonly bareEnds: number
  /** Where the first CR is that no LF follows; -1 when there is none. */
  readonly bareCrAt: number
  /** Octets of the longest line without its end; the last one counts, whether it is ended or not. */
  readonly longestBytes: number
}

export function surveyLines(bytes: Uint8Array): LineSurvey {
  const length = bytes.length
  let bareEnds = 0
  let bareCrAt = -1
  let longestBytes = 0
  let start = 0
  for (let at = 0; at < length; at++) {
    const byte = bytes[at] as number
    if (byte > cr || (byte !== lf && byte !== cr)) continue
    if (at - start > longestBytes) longestBytes = at - start
    if (byte === cr && bytes[at + 1] === lf) at++
    else {
      bareEnds++
      if (byte === cr && bareCrAt < 0) bareCrAt = at
    }
    start = at + 1
  }
  return { bareEnds, bareCrAt, longestBytes: Math.max(longestBytes, length - start) }
}

/** The same bytes where every line ends in CRLF already; whether the last one has an end is left as it is. */
export function crlfLines(bytes: Buffer, { bareEnds }: LineSurvey): Buffer {
  if (bareEnds === 0) return bytes
  const length = bytes.length
  const out = Buffer.allocUnsafe(length + bareEnds)
  let to = 0
  for (let at = 0; at < length; at++) {
    const byte = bytes[at] as number
    if (byte !== lf && byte !== cr) {
      out[to++] = byte
      continue
    }
    out[to++] = cr
    out[to++] = lf
    if (byte === cr && bytes[at + 1] === lf) at++
  }
  return out
}
