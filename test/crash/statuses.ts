/**
 * What becomes of messages by the program's own account, asked of every life of it: a message that was acknowledged, or has arrived, is known; and what
 * was delivered, bounced or expired once stays so.
 *
 * The messages are probes that are sent by SMTP before each kill, to every kind of receiver, and a share of those that arrive.
 */
import type { ReceivedMessage } from '../../src/sandbox/sandbox.ts'
import type { Posthaste } from '../support/posthaste.ts'
import { letter, managementToken, send } from '../support/scenario.ts'
import { probeUser } from './receiver-script.ts'

export interface StatusFigures {
  /** Messages that were asked for, and how often. */
  readonly messages: number
  readonly questions: number
  readonly final: number
}

const probedDomains = ['mail0.test', 'refuses.test', 'defers.test', 'slow.test']
/** One in so many messages that arrive. */
const arrivalStride = 10
const askedPerLife = 200
const questionsAtOnce = 16
const finals = new Set(['delivered', 'bounced', 'expired'])

export class Statuses {
  readonly violations: string[] = []
  readonly #directory: string
  /** By message: what was last said of it, recipient by recipient. */
  readonly #known = new Map<string, string[]>()
  #probes = 0
  #arrivals = 0
  #questions = 0

  constructor(directory: string) {
    this.#directory = directory
  }

  /** To its end, or until the program is killed: then what was not answered is let go. */
  async probeAndAsk(engine: Posthaste): Promise<void> {
    for (const domain of probedDomains) {
      const to = [`${probeUser}-${this.#probes++}@${domain}`]
      const id = await send(engine, { to, content: letter('status') }).catch(() => null)
      if (id !== null) this.#known.set(id, [])
    }
    // The newest, which a crash is most likely to have touched, and as many of all the others.
    const ids = [...this.#known.keys()]
    const stride = Math.max(1, Math.floor(ids.length / askedPerLife))
    const some = new Set([...ids.filter((_, i) => i % stride === 0), ...ids.slice(-askedPerLife)])
    await this.#ask(engine, [...some]).catch((error: unknown) => {
      // What `fetch` says of a connection that is refused or cut.
      if (!(error instanceof TypeError)) throw error
    })
  }

  noteArrival({ content }: Pick<ReceivedMessage, 'content'>): void {
    if (this.#arrivals++ % arrivalStride !== 0) return
    const id = /\bid ([0-9a-f-]{36})\b/.exec(content?.toString('latin1', 0, 1_000) ?? '')?.[1]
    if (id === undefined) this.violations.push('a message arrived whose Received field names no id')
    else if (!this.#known.has(id)) this.#known.set(id, [])
  }

  async askAll(engine: Posthaste): Promise<StatusFigures> {
    await this.#ask(engine, [...this.#known.keys()])
    const final = [...this.#known.values()].filter(
      (states) => states.length > 0 && states.every((one) => finals.has(one)),
    )
    return { messages: this.#known.size, questions: this.#questions, final: final.length }
  }

  async #ask({ managementPort }: Posthaste, ids: string[]): Promise<void> {
    const headers = { authorization: `Bearer ${managementToken(this.#directory)}` }
    const askOne = async (id: string): Promise<void> => {
      const answer = await fetch(`http://127.0.0.1:${managementPort}/api/v1/admin/messages/${id}`, { headers })
      const body = await answer.text()
      this.#questions += 1
      if (answer.status !== 200) return void this.violations.push(`status of ${id}: ${answer.status} ${body}`)
      const { recipients } = JSON.parse(body) as { readonly recipients: readonly { readonly state: string }[] }
      this.#compare(
        id,
        recipients.map(({ state }) => state),
      )
    }
    const left = [...ids]
    await Promise.all(
      Array.from({ length: questionsAtOnce }, async () => {
        for (let id = left.pop(); id !== undefined; id = left.pop()) await askOne(id)
      }),
    )
  }

  #compare(id: string, states: readonly string[]): void {
    const before = this.#known.get(id) ?? []
    const changed = before.some((state, i) => finals.has(state) && states[i] !== state)
    if (changed) this.violations.push(`status of ${id}: it was ${before.join()}, and is ${states.join()} now`)
    this.#known.set(id, [...states])
  }
}
