/**
 * 128 bits of a text under a secret key, fast enough for every recipient: Chaskey-12 (ISO/IEC 29192-6), which was made for 32-bit words. Whoever does
 * not know the key can neither foresee the bits nor find two texts that have the same.
 *
 * What is hashed is the text's bytes when it is ASCII, otherwise a block that no ASCII text begins with and its UTF-16. Words are in the
 * machine's order, because they never leave it.
 */
export class KeyedHash {
  h0 = 0
  h1 = 0
  h2 = 0
  h3 = 0
  readonly #key: Int32Array
  /** For a last block that is whole, and one that is not. */
  readonly #whole: Int32Array
  readonly #part: Int32Array
  #bytes = new Uint8Array(1024)
  #units = new Uint16Array(this.#bytes.buffer)
  #words = new Int32Array(this.#bytes.buffer)

  constructor(key: Int32Array) {
    this.#key = key
    this.#whole = doubled(key)
    this.#part = doubled(this.#whole)
  }

  /** Sets the four words. */
  of(text: string): void {
    this.#mix(this.#load(text))
  }

  /** The words of an earlier hash. */
  is(h0: number, h1: number, h2: number, h3: number): void {
    this.h0 = h0
    this.h1 = h1
    this.h2 = h2
    this.h3 = h3
  }

  /** Of the first `length` bytes that were loaded, which are filled up by a 1 when they end within a block. No text is such a block, too. */
  #mix(length: number): void {
    const words = this.#words
    const whole = length > 0 && (length & 15) === 0
    const last = whole ? this.#whole : this.#part
    const lastAt = whole ? (length >> 2) - 4 : (length >> 4) << 2
    if (!whole) {
      this.#bytes[length] = 1
      for (let i = length + 1; (i & 15) !== 0; i++) this.#bytes[i] = 0
    }
    const key = this.#key
    let v0 = key[0] as number
    let v1 = key[1] as number
    let v2 = key[2] as number
    let v3 = key[3] as number
    for (let at = 0; at <= lastAt; at += 4) {
      const more = at === lastAt ? last : zero
      v0 ^= (words[at] as number) ^ (more[0] as number)
      v1 ^= (words[at + 1] as number) ^ (more[1] as number)
      v2 ^= (words[at + 2] as number) ^ (more[2] as number)
      v3 ^= (words[at + 3] as number) ^ (more[3] as number)
      for (let round = 0; round < 12; round++) {
        v0 = (v0 + v1) | 0
        v2 = (v2 + v3) | 0
        v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
        v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
        v0 = (((v0 << 16) | (v0 >>> 16)) + v3) | 0
        v2 = (v2 + v1) | 0
        v3 = ((v3 << 13) | (v3 >>> 19)) ^ v0
        v1 = ((v1 << 7) | (v1 >>> 25)) ^ v2
        v2 = (v2 << 16) | (v2 >>> 16)
      }
    }
    this.is(v0 ^ (last[0] as number), v1 ^ (last[1] as number), v2 ^ (last[2] as number), v3 ^ (last[3] as number))
  }

  /** Returns how many bytes it is. */
  #load(text: string): number {
    const { length } = text
    if (16 + length * 2 > this.#bytes.length) this.#makeRoom(32 + length * 2)
    const bytes = this.#bytes
    let seen = 0
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      bytes[i] = code
      seen |= code
    }
    if (seen < 0x80) return length
    bytes.fill(0xff, 0, 16)
    for (let i = 0; i < length; i++) this.#units[8 + i] = text.charCodeAt(i)
    return 16 + length * 2
  }

  #makeRoom(bytes: number): void {
    this.#bytes = new Uint8Array(Math.ceil(bytes / 16) * 16)
    this.#units = new Uint16Array(this.#bytes.buffer)
    this.#words = new Int32Array(this.#bytes.buffer)
  }
}

const zero = new Int32Array(4)

/** Twice the 128-bit number, in the field that has 2¹²⁸ elements. */
function doubled(key: Int32Array): Int32Array {
  const [k0, k1, k2, k3] = [key[0] as number, key[1] as number, key[2] as number, key[3] as number]
  return Int32Array.of(
    (k0 << 1) ^ (k3 < 0 ? 0x87 : 0),
    (k1 << 1) | (k0 >>> 31),
    (k2 << 1) | (k1 >>> 31),
    (k3 << 1) | (k2 >>> 31),
  )
}
