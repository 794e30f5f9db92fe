/** Sends answers: at once in one write per group of commands, or late, byte by byte, or without end, as the script asks. */
import type { Socket } from 'node:net'
import type { Clock, Timer } from '../../kernel/clock.ts'
import type { Random } from '../../kernel/random.ts'
import type { Answer } from './behaviour.ts'

const blockBytes = 64 * 1024

export class AnswerPlayer {
  socket: Socket | null = null
  readonly #clock: Clock
  readonly #random: Random
  readonly #timers = new Set<Timer>()
  #out = ''
  #stopped = false

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.#random = random
  }

  add(bytes: string): void {
    this.#out += bytes
  }

  flush(): void {
    if (this.#out === '') return
    this.socket?.write(this.#out, 'latin1')
    this.#out = ''
  }

  /** Ends all waiting; what was added stays for the last flush. */
  stop(): void {
    this.#stopped = true
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
  }

  later(delayMs: number, fire: () => void): void {
    const timer = this.#clock.after(delayMs, () => {
      this.#timers.delete(timer)
      fire()
    })
    this.#timers.add(timer)
  }

  /** Sends `answer`, or `usual` where it leaves the bytes alone, then calls `done`; in this turn when nothing has to wait. */
  play(answer: Answer, usual: string, done: () => void): void {
    const latencyMs = answer.latencyMinMs + answer.latencySpanMs * this.#random.fraction()
    if (latencyMs === 0) return this.#send(answer, usual, done)
    this.flush()
    this.later(latencyMs, () => this.#send(answer, usual, done))
  }

  #send(answer: Answer, usual: string, done: () => void): void {
    const bytes = answer.bytes ?? usual
    if (bytes === '') return done()
    if (answer.byteEveryMs > 0) return this.#trickle(bytes, answer.times, answer.byteEveryMs, 0, done)
    if (answer.times > 1) return this.#repeat(bytes, answer.times, done)
    this.add(bytes)
    done()
  }

  #trickle(bytes: string, times: number, everyMs: number, at: number, done: () => void): void {
    if (at === bytes.length * times) return done()
    this.add(bytes[at % bytes.length] as string)
    this.flush()
    this.later(everyMs, () => this.#trickle(bytes, times, everyMs, at + 1, done))
  }

  #repeat(bytes: string, times: number, done: () => void): void {
    const perBlock = Math.max(1, Math.floor(blockBytes / bytes.length))
    const block = bytes.repeat(perBlock)
    let left = times
    const write = (): void => {
      while (left > 0 && !this.#stopped) {
        this.add(left >= perBlock ? block : bytes.repeat(left))
        left -= Math.min(left, perBlock)
        const full = this.socket?.writableNeedDrain === true
        this.flush()
        if (full) return void this.socket?.once('drain', write)
      }
      if (!this.#stopped) done()
    }
    write()
  }
}
