/**
 * Which message a thread has in hand at this moment: one shared word. When the thread dies of a bug, main reads there which message it died over, and
 * one that does it twice is set aside (strikes.ts).
 */
import { rethrowBug } from '../kernel/assert.ts'
import type { DsnRequest } from '../model/submission.ts'
import type { Messages, PreparedMessage } from '../ports/messages.ts'

export const makeHand = (): SharedArrayBuffer => new SharedArrayBuffer(8)

/** 0: none. */
export function messageInHand(memory: SharedArrayBuffer): number {
  return new Float64Array(memory)[0] as number
}

/** Notes whatever `messages` is doing with a message while it does it; waiting for the disk is not doing. */
export function inHand(messages: Messages, memory: SharedArrayBuffer): Messages {
  const word = new Float64Array(memory)
  return {
    open(grant) {
      const { number } = grant
      const opened = holding(word, number, () => messages.open(grant))
      if (!(opened instanceof Promise)) return new HeldMessage(opened, number, word)
      return opened.then((message) => new HeldMessage(message, number, word))
    },
  }
}

function holding<T>(word: Float64Array, number: number, act: () => T | Promise<T>): T | Promise<T> {
  word[0] = number
  try {
    const result = act()
    word[0] = 0
    return result instanceof Promise ? result.catch((error: unknown) => failed(word, number, error)) : result
  } catch (error) {
    return failed(word, number, error)
  }
}

/** A bug leaves the number where main finds it. */
function failed(word: Float64Array, number: number, error: unknown): never {
  word[0] = number
  rethrowBug(error)
  word[0] = 0
  throw error
}

class HeldMessage implements PreparedMessage {
  readonly id: string
  readonly tenant: string
  readonly returnPath: string
  readonly recipients: readonly string[]
  readonly sizeBytes: number
  readonly eightBit: boolean
  readonly smtpUtf8: boolean
  readonly dsn: DsnRequest | null
  readonly #message: PreparedMessage
  readonly #number: number
  readonly #word: Float64Array

  constructor(message: PreparedMessage, number: number, word: Float64Array) {
    this.id = message.id
    this.tenant = message.tenant
    this.returnPath = message.returnPath
    this.recipients = message.recipients
    this.sizeBytes = message.sizeBytes
    this.eightBit = message.eightBit
    this.smtpUtf8 = message.smtpUtf8
    this.dsn = message.dsn
    this.#message = message
    this.#number = number
    this.#word = word
  }

  read(): Buffer | null | Promise<Buffer | null> {
    return holding(this.#word, this.#number, () => this.#message.read())
  }

  release(): void {
    this.#message.release()
  }
}
