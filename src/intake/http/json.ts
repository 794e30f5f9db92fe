/**
 * A body's JSON (RFC 8259), read strictly: what one reader would take for another value than the next is refused. JSON.parse does the
 * parsing; before it one pass over the text looks for what JSON.parse lets through.
 *
 *   keys that are twice in one object    every reader has its own idea of which one counts
 *   nesting and number of values         so that what the parser builds stays in proportion to a request
 *   \u0000 and lone surrogates           no text of a message can hold them (RFC 8259 §8.2)
 */
import { isAscii, isUtf8 } from 'node:buffer'
import { KiB } from '../../kernel/units.ts'
import { httpFailures } from '../../model/failures.ts'
import { jsonDepthMax, jsonValuesMax } from './limits.ts'
import { Problem } from './problem.ts'

/** Throws a Problem. */
export function parseJson(bytes: Buffer): unknown {
  const ascii = isAscii(bytes)
  if (!ascii && !isUtf8(bytes)) {
    throw new Problem(httpFailures.notUtf8, { cure: 'Encode the body as UTF-8 (RFC 8259 section 8.1).' })
  }
  const text = ascii ? bytes.toString('latin1') : bytes.toString('utf8')
  const unfit = surveyJson(text)
  const value = parse(text)
  if (unfit) refuseUnfitText(value)
  return value
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    // Only the place: the rest of the message repeats the input.
    const at = /at position \d+ \((line \d+ column \d+)\)/.exec((error as Error).message)?.[1]
    const detail = text === '' ? 'the body is empty' : `the body is not JSON${at === undefined ? '' : `: see ${at}`}`
    throw new Problem(httpFailures.notJson, { detail, cure: 'Send one JSON object.' })
  }
}

const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const bracketOpen = 0x5b
const backslash = 0x5c
const bracketClose = 0x5d
const letterU = 0x75
const braceOpen = 0x7b
const braceClose = 0x7d

/**
 * Looks at structure and keys only; what is not JSON is left to the parser. Returns whether a text is unfit for a message. A string is
 * skipped from mark to mark by `indexOf`, so that 25 MB of base64 cost no more than a copy.
 */
export function surveyJson(text: string): boolean {
  /** Keys of each open object; null for a list. */
  const open: (Set<string> | null)[] = []
  const strings = new StringReader(text)
  let atKey = false
  let values = 1
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote: {
        const end = strings.end(at)
        if (end < 0) return strings.unfit
        if (atKey) addKey(open.at(-1) ?? null, strings.escaped ? unescape(text, at, end) : text.slice(at + 1, end))
        atKey = false
        at = end
        break
      }
      case braceOpen:
      case bracketOpen: {
        const isObject = text.charCodeAt(at) === braceOpen
        open.push(isObject ? new Set() : null)
        atKey = isObject
        if (open.length > jsonDepthMax.value || ++values > jsonValuesMax.value) throw tooComplex()
        break
      }
      case braceClose:
      case bracketClose:
        open.pop()
        atKey = false
        break
      case comma:
        atKey = (open.at(-1) ?? null) !== null
        if (++values > jsonValuesMax.value) throw tooComplex()
        break
      case colon:
        atKey = false
        break
    }
  }
  return strings.unfit
}

function tooComplex(): Problem {
  return new Problem(httpFailures.jsonTooComplex, {
    cure: `Nest at most ${jsonDepthMax.value} levels, and give at most ${jsonValuesMax.value} values.`,
  })
}

function addKey(keys: Set<string> | null, key: string): void {
  if (keys === null) return
  if (keys.has(key)) {
    const shown = JSON.stringify(key.slice(0, 64))
    throw new Problem(httpFailures.duplicateKey, {
      detail: `the key ${shown} is twice in one object`,
      cure: 'Give it once.',
    })
  }
  keys.add(key)
}

/** The key as the parser will see it. What is no JSON string the parser refuses later. */
function unescape(text: string, start: number, end: number): string {
  try {
    return JSON.parse(text.slice(start, end + 1)) as string
  } catch {
    return text.slice(start, end + 1)
  }
}

/**
 * Finds where strings end. Each mark is searched for once: behind it, not again for every string in front of it. But where escapes are, more
 * are near, and a search for each of twelve million would take half a second: so in a large body some characters behind each are looked at first.
 */
class StringReader {
  /** Some text so far has \u0000 or a lone surrogate, or will not parse. */
  unfit = false
  /** The string that was read last has escapes. */
  escaped = false
  readonly #text: string
  readonly #isLarge: boolean
  #nextQuote = -1
  #nextBackslash = -1

  constructor(text: string) {
    this.#text = text
    this.#isLarge = text.length > usualCharacters
  }

  /** Offset of the quote that closes the string which opens at `start`; -1 when there is none. */
  end(start: number): number {
    const text = this.#text
    this.escaped = false
    let at = start + 1
    for (;;) {
      if (this.#nextQuote < at) this.#nextQuote = found(text.indexOf('"', at))
      if (this.#nextBackslash < at) this.#nextBackslash = found(text.indexOf('\\', at))
      if (this.#nextBackslash > this.#nextQuote || this.#nextQuote === never) {
        return this.#nextQuote === never ? -1 : this.#nextQuote
      }
      this.escaped = true
      at = this.#nextBackslash + 2
      if (text.charCodeAt(at - 1) === letterU) at = this.#unicodeEnd(at)
      if (this.#isLarge) at = this.#nearEscapesEnd(at)
    }
  }

  /** Past those escapes behind `at` that follow near one another; in front of a quote that is no escape. */
  #nearEscapesEnd(at: number): number {
    const text = this.#text
    for (let stop = at + nearCharacters; at < stop; ) {
      const code = text.charCodeAt(at)
      if (code === backslash) {
        at += 2
        if (text.charCodeAt(at - 1) === letterU) at = this.#unicodeEnd(at)
        stop = at + nearCharacters
      } else if (code === quote || at >= text.length) return at
      else at++
    }
    return at
  }

  /** Past the four digits at `at`, and past the other half of a surrogate pair. */
  #unicodeEnd(at: number): number {
    const text = this.#text
    const code = hexOfFour(text, at)
    if (code === 0) this.unfit = true
    if (!(code >= 0xd800 && code <= 0xdfff)) return at
    const low =
      text.charCodeAt(at + 4) === backslash && text.charCodeAt(at + 5) === letterU ? hexOfFour(text, at + 6) : -1
    if (code < 0xdc00 && low >= 0xdc00 && low <= 0xdfff) return at + 10
    this.unfit = true
    return at
  }
}

/** To look at so many takes about as long as a search takes to begin; a message of the usual size has few escapes, and goes without. */
const nearCharacters = 16
const usualCharacters = 256 * KiB

/** -1 when these are not four digits, which the parser will refuse. */
function hexOfFour(text: string, at: number): number {
  let value = 0
  for (let i = at; i < at + 4; i++) {
    const code = text.charCodeAt(i)
    const digit = code <= 0x39 ? code - 0x30 : (code | 0x20) - 0x57
    const isDigit = code <= 0x39 ? digit >= 0 : digit >= 10 && digit <= 15
    if (!isDigit) return -1
    value = 16 * value + digit
  }
  return value
}

const never = Number.MAX_SAFE_INTEGER
const found = (at: number): number => (at < 0 ? never : at)

/** Points at the first text that cannot be in a message. Bounded by what `surveyJson` let through. */
function refuseUnfitText(root: unknown): void {
  const waiting: { value: unknown; pointer: string }[] = [{ value: root, pointer: '' }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, pointer } = next
    if (typeof value === 'string') refuseUnfit(value, pointer)
    if (typeof value !== 'object' || value === null) continue
    for (const [key, child] of Object.entries(value).reverse()) {
      refuseUnfit(key, pointer)
      waiting.push({ value: child, pointer: `${pointer}/${pointerToken(key)}` })
    }
  }
}

function refuseUnfit(text: string, pointer: string): void {
  if (text.isWellFormed() && !text.includes('\0')) return
  const cure = 'Take NUL characters out, and do not cut text between the halves of a surrogate pair.'
  throw new Problem(httpFailures.textUnfit, { pointer, cure })
}

/** RFC 6901 §3. */
export function pointerToken(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}
