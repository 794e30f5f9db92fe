/**
 * DKIM's relaxed canonical form (RFC 6376 §3.4.2, §3.4.4): what signer and verifier agree to hash although relays touch white
 * space. Pure functions of bytes; keys and fields are the business of `sign/`.
 */
import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import type { FieldSpan } from './header.ts'

const tab = 0x09
const lf = 0x0a
const cr = 0x0d
const space = 0x20
const colon = 0x3a

/**
 * Writes the relaxed form of `field` to `into` at `at`; returns where it ends. It is never longer than the field itself, but for
 * the CRLF of a field that lacks one.
 */
export function writeRelaxedField(header: Uint8Array, field: FieldSpan, into: Uint8Array, at: number): number {
  for (let i = field.nameStart; i < field.nameEnd; i++) {
    const byte = header[i] as number
    into[at++] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
  }
  into[at++] = colon
  // §3.4.2: unfold, reduce each run of white space to one space, and have none around the value.
  let gap = false
  let empty = true
  for (let i = field.valueStart; i < field.end; i++) {
    const byte = header[i] as number
    if (byte === space || byte === tab || (byte === cr && header[i + 1] === lf)) {
      gap = true
      if (byte === cr) i++
      continue
    }
    if (gap && !empty) into[at++] = space
    gap = false
    empty = false
    into[at++] = byte
  }
  into[at++] = cr
  into[at++] = lf
  return at
}

/** Canonical bytes on their way to the hash. Used and emptied within one call, so all hashes of a thread share it. */
const scratch = Buffer.allocUnsafeSlow(16_384)
/** From here on handing bytes to the hash in place is cheaper than gathering them. */
const directBytesMin = 2_048
/** Below this a loop beats the call of a native copy. */
const copyBytesMin = 48
const crlf = Buffer.from('\r\n')

/**
 * SHA-256 of a body's relaxed form (RFC 6376 §3.4.4), fed in any split.
 *
 * Three things change under it: white space before a CRLF goes, other runs of white space become one space, and empty lines at the
 * end go. So each chunk is seen as
 *
 *   [ resolves what the last chunk left open ][ middle: ends in a visible byte ][ tail: only white space, CR, LF ]
 *               byte by byte                     hashed in long spans                    byte by byte
 *
 * and between chunks only what a following byte may still undo is held back: how many CRLFs, whether white space, whether a CR.
 */
export class RelaxedBodyHash {
  readonly #hash: Hash = createHash('sha256')
  #linesHeld = 0
  #gapHeld = false
  #crHeld = false
  #empty = true
  #scratchBytes = 0

  update(bytes: Uint8Array, start = 0, end = bytes.length): void {
    let middleEnd = end
    while (middleEnd > start && isBlank(bytes[middleEnd - 1] as number)) middleEnd--
    let at = start
    while (at < middleEnd && (this.#linesHeld > 0 || this.#gapHeld || this.#crHeld)) this.#step(bytes[at++] as number)
    if (at < middleEnd) {
      this.#middle(bytes, at, middleEnd)
      at = middleEnd
    }
    while (at < end) this.#step(bytes[at++] as number)
    this.#drain()
  }

  /** In base64, as `bh=` wants it. Ends the hash. */
  digest(): string {
    if (this.#crHeld) this.#visible(cr)
    this.#drain()
    // §3.4.4: an empty body stays empty, any other ends in exactly one CRLF.
    if (!this.#empty) this.#hash.update(crlf)
    return this.#hash.digest('base64')
  }

  /** Nothing is held back at `start`, and the last byte is visible: every run of white space and its successor are in sight. */
  #middle(bytes: Uint8Array, start: number, end: number): void {
    this.#empty = false
    const tabAt = bytes.indexOf(tab, start)
    const stride = tabAt < 0 || tabAt >= end ? 2 : 1
    let clean = start
    for (let at = nextRun(bytes, start, end, stride); at < end; ) {
      let after = at + 1
      while (bytes[after] === space || bytes[after] === tab) after++
      const lineEnds = bytes[after] === cr && bytes[after + 1] === lf
      if (lineEnds) this.#span(bytes, clean, at)
      else if (bytes[at] === space) this.#span(bytes, clean, at + 1)
      else {
        this.#span(bytes, clean, at)
        this.#byte(space)
      }
      clean = after
      at = nextRun(bytes, after, end, stride)
    }
    this.#span(bytes, clean, end)
  }

  #step(byte: number): void {
    if (this.#crHeld) {
      this.#crHeld = false
      if (byte === lf) {
        this.#gapHeld = false
        this.#linesHeld++
        return
      }
      this.#visible(cr)
    }
    if (byte === cr) this.#crHeld = true
    else if (byte === space || byte === tab) this.#gapHeld = true
    else this.#visible(byte)
  }

  #visible(byte: number): void {
    for (; this.#linesHeld > 0; this.#linesHeld--) {
      this.#byte(cr)
      this.#byte(lf)
    }
    if (this.#gapHeld) this.#byte(space)
    this.#gapHeld = false
    this.#empty = false
    this.#byte(byte)
  }

  #byte(byte: number): void {
    if (this.#scratchBytes === scratch.length) this.#drain()
    scratch[this.#scratchBytes++] = byte
  }

  #span(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start
    if (length >= directBytesMin) {
      this.#drain()
      this.#hash.update(bytes.subarray(start, end))
      return
    }
    if (this.#scratchBytes + length > scratch.length) this.#drain()
    const to = this.#scratchBytes
    if (length < copyBytesMin) for (let i = 0; i < length; i++) scratch[to + i] = bytes[start + i] as number
    else scratch.set(bytes.subarray(start, end), to)
    this.#scratchBytes = to + length
  }

  #drain(): void {
    if (this.#scratchBytes > 0) this.#hash.update(scratch.subarray(0, this.#scratchBytes))
    this.#scratchBytes = 0
  }
}

/**
 * Offset of the next white space that is more than a space between visible bytes, or `end`. `start` must not be inside a run. Without
 * tabs every such place covers two adjacent bytes, so looking at every second one (stride 2) finds them all at half the cost.
 */
function nextRun(bytes: Uint8Array, start: number, end: number, stride: 1 | 2): number {
  for (let at = start + stride - 1; at < end; at += stride) {
    const byte = bytes[at] as number
    if (byte > space) continue
    if (byte === space) {
      if (at > start && bytes[at - 1] === space) return at - 1
      if (isBlank(bytes[at + 1] as number)) return at
    } else if (byte === tab) return at
    else if (byte === cr && at > start && bytes[at - 1] === space) return at - 1
  }
  return end
}

function isBlank(byte: number): boolean {
  return byte === space || byte === lf || byte === cr || byte === tab
}
