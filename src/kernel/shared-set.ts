/**
 * A set of texts in shared memory: one thread writes, any number ask, and nobody waits for anybody.
 *
 *   header  [ size | used | key × 4 | – × 2 ]
 *   slots   [ h0 h1 h2 h3 ][ … ]          the text's 128 bits; h0 = 0: empty, 1: removed
 *
 * The texts themselves are not kept: two of them have the same 128 bits with a chance of 2⁻¹²⁸, and because the hash has a secret key nobody
 * can look for such a pair. It is looked for from slot h1 on until an empty one, and no entry ever moves.
 *
 * A slot is written once: h1 to h3 first, then h0 makes it an entry. Removing changes h0 alone, and so does adding the same text again; a removed slot
 * serves no other text. So a reader sees an entry as it is or not at all, never half of one and half of another.
 *
 * 16 bytes a slot, of which at most 5/8 are used before the writer makes a larger one: 26 to 51 bytes per text.
 */
import { invariant } from './assert.ts'
import { KeyedHash } from './keyed-hash.ts'
import type { Random } from './random.ts'

const header = { size: 0, used: 1, key: 2, words: 8 } as const
const empty = 0
const removed = 1
const slotWords = 4
const slotsMin = 64

const usedBefore = (slots: number): number => Math.floor((slots * 5) / 8)

/** Shared memory for a set that is not full with this many entries. */
export function makeSetMemory(entries: number, random: Random): SharedArrayBuffer {
  const key = Int32Array.of(random.uint32(), random.uint32(), random.uint32(), random.uint32())
  return memoryFor(entries, key)
}

function memoryFor(entries: number, key: Int32Array): SharedArrayBuffer {
  let slots = slotsMin
  while (usedBefore(slots) <= entries) slots *= 2
  const memory = new SharedArrayBuffer((header.words + slots * slotWords) * 4)
  new Int32Array(memory).set(key, header.key)
  return memory
}

export class SharedSet {
  /** For other threads, which make a SharedSet of it. */
  readonly memory: SharedArrayBuffer
  readonly #words: Int32Array
  readonly #slots: number
  readonly #hash: KeyedHash

  /** @param memory of makeSetMemory */
  constructor(memory: SharedArrayBuffer) {
    this.memory = memory
    this.#words = new Int32Array(memory)
    this.#slots = (this.#words.length - header.words) / slotWords
    this.#hash = new KeyedHash(this.#words.slice(header.key, header.key + 4))
  }

  get size(): number {
    return Atomics.load(this.#words, header.size)
  }

  /** The writer goes on with a `grown()` one. A full one still takes some, as long as others look into it. */
  get full(): boolean {
    return (this.#words[header.used] as number) >= usedBefore(this.#slots)
  }

  has(text: string): boolean {
    if (Atomics.load(this.#words, header.size) === 0) return false
    this.#take(text)
    const at = this.#find()
    return at >= 0 && Atomics.load(this.#words, at) !== removed
  }

  /** For the one that writes. False: it was there. */
  add(text: string): boolean {
    this.#take(text)
    return this.#put()
  }

  /** For the one that writes. False: it was not there. */
  remove(text: string): boolean {
    const words = this.#words
    this.#take(text)
    const at = this.#find()
    if (at < 0 || words[at] === removed) return false
    Atomics.store(words, at, removed)
    Atomics.sub(words, header.size, 1)
    return true
  }

  /** With the same entries, and room for half as many again at least. Nobody writes meanwhile. */
  grown(): SharedSet {
    const words = this.#words
    const larger = new SharedSet(memoryFor(this.size * 1.5, words.subarray(header.key, header.key + 4)))
    for (let at: number = header.words; at < words.length; at += slotWords) {
      const h0 = words[at] as number
      if (h0 === empty || h0 === removed) continue
      larger.#hash.is(h0, words[at + 1] as number, words[at + 2] as number, words[at + 3] as number)
      larger.#put()
    }
    return larger
  }

  /** As a hash that does not look like an empty or removed slot. */
  #take(text: string): void {
    const hash = this.#hash
    hash.of(text)
    if (hash.h0 === empty || hash.h0 === removed) hash.h0 ^= 2
  }

  /** What was taken last. */
  #put(): boolean {
    const words = this.#words
    const { h0, h1, h2, h3 } = this.#hash
    const found = this.#find()
    const at = found < 0 ? ~found : found
    if (words[at] === h0) return false
    if (found < 0) {
      // Without an empty slot a search would not end.
      invariant((words[header.used] as number) < (this.#slots * 7) / 8, 'a full set is replaced by a larger one')
      words[header.used] = (words[header.used] as number) + 1
      words[at + 1] = h1
      words[at + 2] = h2
      words[at + 3] = h3
    }
    Atomics.store(words, at, h0)
    Atomics.add(words, header.size, 1)
    return true
  }

  /** Where what was taken last is, or was before it was removed; otherwise ~ the empty slot where it would be. */
  #find(): number {
    const words = this.#words
    const { h0, h1, h2, h3 } = this.#hash
    const mask = this.#slots - 1
    for (let slot = h1 & mask; ; slot = (slot + 1) & mask) {
      const at = header.words + slot * slotWords
      const state = Atomics.load(words, at)
      if (state === empty) return ~at
      if (state !== h0 && state !== removed) continue
      if (words[at + 1] === h1 && words[at + 2] === h2 && words[at + 3] === h3) return at
    }
  }
}
