/** The events thread's ends of the ports by which others ask it, and by which it asks them. */
import type { MessagePort } from 'node:worker_threads'
import { type Failure, failures } from '../model/failures.ts'
import type { OutgoingMail } from '../ports/outbox.ts'
import type { FromStore, ToStore } from './store-wire.ts'

/** The name of main, which takes no mail in. */
export const mainClient = 'main'

export class StoreClients {
  readonly #hear: (owner: string, port: MessagePort, message: Exclude<ToStore, { kind: 'sent' }>) => void
  readonly #ports = new Map<string, MessagePort>()
  readonly #sending = new Map<number, { readonly owner: string; readonly settle: (failure: Failure | null) => void }>()
  #nextSend = 1

  constructor(hear: (owner: string, port: MessagePort, message: Exclude<ToStore, { kind: 'sent' }>) => void) {
    this.#hear = hear
  }

  listen(owner: string, port: MessagePort): void {
    this.#ports.set(owner, port)
    port.on('message', (message: ToStore) => {
      if (message.kind === 'sent') this.#sent(message.send, message.failure)
      else this.#hear(owner, port, message)
    })
  }

  /** The thread has died; what it was sending may be on disk, and is found there. */
  gone(owner: string): void {
    this.#ports.delete(owner)
    for (const [send, { owner: sender, settle }] of this.#sending) {
      if (sender !== owner) continue
      this.#sending.delete(send)
      settle(failures.intakeBusy)
    }
  }

  /** Settles with null when it is on disk. Always the same thread as long as it lives: it knows what it is sending already. */
  send(mail: OutgoingMail): Promise<Failure | null> {
    for (const [owner, port] of this.#ports) {
      if (owner === mainClient) continue
      const send = this.#nextSend++
      return new Promise((settle) => {
        this.#sending.set(send, { owner, settle })
        port.postMessage({ kind: 'send', send, mail } satisfies FromStore)
      })
    }
    return Promise.resolve(failures.intakeBusy)
  }

  tellMain(message: FromStore): void {
    this.#ports.get(mainClient)?.postMessage(message)
  }

  #sent(send: number, failure: Failure | null): void {
    const sending = this.#sending.get(send)
    this.#sending.delete(send)
    sending?.settle(failure)
  }
}
