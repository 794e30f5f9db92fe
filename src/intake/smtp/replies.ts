/** What is said to the client: gathered, and written once for a whole chunk of input. A client that does not fetch it is waited for, unless too many are. */
import { stuckSessionBytes } from './limits.ts'
import type { SessionMemory } from './memory.ts'

export class Replies {
  readonly #link: { send(replies: string): boolean }
  readonly #memory: SessionMemory
  #text = ''
  #stuck = false

  constructor(link: { send(replies: string): boolean }, memory: SessionMemory) {
    this.#link = link
    this.#memory = memory
  }

  /** The client does not fetch them; memory is reserved for what it makes us hold. */
  get stuck(): boolean {
    return this.#stuck
  }

  /** Gathered, and not sent. */
  get bytes(): number {
    return this.#text.length
  }

  add(line: string): void {
    this.#text += `${line}\r\n`
  }

  /** False: they are not fetched, and there is no memory left to wait for that. */
  flush(): boolean {
    if (this.send() || this.#stuck) return true
    this.#stuck = this.#memory.reserve(stuckSessionBytes.value)
    return this.#stuck
  }

  /** The same for a client that is waited for no more. False: it does not fetch them. */
  send(): boolean {
    if (this.#text === '') return true
    const text = this.#text
    this.#text = ''
    return this.#link.send(text)
  }

  /** They were fetched, or there is nobody left who would. */
  unstick(): void {
    if (this.#stuck) this.#memory.release(stuckSessionBytes.value)
    this.#stuck = false
  }
}
