/** Lets so many through at once; the others wait in order. */
export class ReadGate {
  readonly #runningMax: number
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(runningMax: number) {
    this.#runningMax = runningMax
  }

  async enter(): Promise<void> {
    if (this.#running >= this.#runningMax) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#running += 1
  }

  leave(): void {
    this.#running -= 1
    this.#waiting.shift()?.()
  }
}
