/** What a thread asks main, and waits for. */
import type { Confirmation } from '../ports/directory.ts'
import type { Clock } from '../kernel/clock.ts'
import type { FromThread, ToThread } from './exchange.ts'
import { askMsMax } from './limits.ts'

export class MainRequests {
  readonly #say: (message: FromThread) => void
  readonly #clock: Clock
  readonly #open = new Map<number, (confirmation: Confirmation) => void>()
  #next = 1

  constructor(say: (message: FromThread) => void, clock: Clock) {
    this.#say = say
    this.#clock = clock
  }

  confirmSender(token: string): Promise<Confirmation> {
    const request = this.#next++
    return new Promise((resolve) => {
      const settle = (confirmation: Confirmation): void => {
        late.cancel()
        this.#open.delete(request)
        resolve(confirmation)
      }
      const late = this.#clock.after(askMsMax.value, () => settle({ outcome: 'later' }))
      this.#open.set(request, settle)
      this.#say({ kind: 'confirm-sender', request, token })
    })
  }

  hear(message: ToThread): void {
    if (message.kind === 'confirmed') this.#open.get(message.request)?.(message.confirmation)
  }
}
