/** MAIL, RCPT, DATA, BDAT and the content: one transaction after the other within a session. */
import { type Answer, isSuccess, plainRule, type PlayedRule, ruleFor } from './behaviour.ts'
import { parameterRefusal, parsePath, type PathCommand } from './commands.ts'
import { Content, fieldOf } from './content.ts'
import type { SessionHost, Transaction } from './host.ts'
import type { ContentBehaviour } from './script.ts'
import type { Session } from './session.ts'

export class Mailing {
  /** Taken in this session. */
  messages = 0
  readonly #session: Session
  readonly #host: SessionHost
  #transaction: Transaction | null = null
  #content: Content | null = null
  #contentBehaviour: ContentBehaviour | null = null
  /** Bytes of the BDAT chunk still to come, −1 outside of one; and whether it is the last. */
  #chunkBytes = -1
  #chunkLast = false

  constructor(session: Session, host: SessionHost) {
    this.#session = session
    this.#host = host
  }

  reset(): void {
    this.#transaction = null
    this.#content = null
  }

  mail(line: string): void {
    const { played, clock } = this.#host
    const session = this.#session
    if (session.helo === '') return session.say('503 5.5.1 EHLO first\r\n')
    if (played.auth?.required === true && session.login.user === null) {
      return session.say('530 5.7.0 authentication required\r\n')
    }
    if (this.#transaction !== null) return session.say('503 5.5.1 a message is already under way\r\n')
    const command = parsePath(line, 'MAIL FROM:')
    if (command === null) return session.say('501 5.5.4 write MAIL FROM:<address>\r\n')
    const refusal = parameterRefusal(command, played.mailParameters, played.sizeBytesMax)
    if (refusal !== null) return session.say(refusal)
    if (this.messages >= played.messagesPerConnectionMax) {
      return session.hangUp('421 4.7.0 enough messages for one connection\r\n')
    }
    if (played.meter !== null && !played.meter.take()) return session.give(played.throttled, '', null)
    const transaction: Transaction = {
      from: command.address,
      to: [],
      mailParameters: command.parameters,
      rcptParameters: [],
      mailMs: clock.nowMs(),
      contentMs: 0,
      rule: null,
      counted: false,
    }
    if (played.mail === null) {
      this.#transaction = transaction
      return session.say('250 2.1.0 sender ok\r\n')
    }
    session.answer(played.mail, '', '250 2.1.0 sender ok\r\n', (code) => {
      if (isSuccess(code)) this.#transaction = transaction
    })
  }

  rcpt(line: string): void {
    const { played } = this.#host
    const session = this.#session
    const transaction = this.#transaction
    if (transaction === null || this.#content !== null) return session.say('503 5.5.1 MAIL first\r\n')
    const command = parsePath(line, 'RCPT TO:')
    if (command === null || command.address === '') return session.say('501 5.5.4 write RCPT TO:<address>\r\n')
    const refusal = parameterRefusal(command, played.rcptParameters, played.sizeBytesMax)
    if (refusal !== null) return session.say(refusal)
    if (transaction.to.length >= played.recipientsPerMessageMax) return session.say('452 4.5.3 too many recipients\r\n')
    const key = command.address.toLowerCase()
    const rule = ruleFor(played, key)
    if (transaction.to.length > 0 && (rule.alone || transaction.rule?.alone === true)) {
      return session.say('452 4.5.3 this recipient wants a message of its own\r\n')
    }
    if (rule.meter !== null && !rule.meter.take()) return session.give(rule.throttled, '', null)
    if (rule.rcpt === null) {
      addRecipient(transaction, command, rule, true)
      return session.say('250 2.1.5 recipient ok\r\n')
    }
    session.answer(rule.rcpt, key, '250 2.1.5 recipient ok\r\n', (code) =>
      addRecipient(transaction, command, rule, isSuccess(code)),
    )
  }

  data(): void {
    const session = this.#session
    const transaction = this.#transaction
    if (transaction === null || this.#content !== null) return session.say('503 5.5.1 MAIL first\r\n')
    const usual = transaction.to.length > 0 ? '354 send it, end with a dot\r\n' : '554 5.5.1 no valid recipients\r\n'
    const chosen = transaction.rule?.data ?? null
    if (chosen === null) {
      session.say(usual)
      if (transaction.to.length > 0) this.#begin(transaction)
      return
    }
    session.answer(chosen, firstRecipient(transaction), usual, (code) => {
      if (code === 354) this.#begin(transaction)
    })
  }

  /** RFC 3030 §2. */
  bdat(line: string): void {
    const session = this.#session
    const match = /^BDAT (\d{1,10})( LAST)?$/i.exec(line)
    if (!this.#host.played.chunking) return session.say('500 5.5.1 command not known\r\n')
    // Where the next command begins cannot be known.
    if (match === null) return session.hangUp('501 5.5.4 write BDAT size [LAST]\r\n')
    this.#chunkBytes = Number(match[1])
    this.#chunkLast = match[2] !== undefined
    const transaction = this.#transaction
    if (transaction !== null && transaction.to.length > 0 && this.#content === null) {
      transaction.counted = true
      this.#begin(transaction)
    }
    if (this.#chunkBytes === 0) this.#receiveChunk(empty, 0)
  }

  #begin(transaction: Transaction): void {
    const { played, keepsContent, clock } = this.#host
    transaction.contentMs = clock.nowMs()
    this.#content = new Content(played.sizeBytesMax, keepsContent)
    const chosen = transaction.rule?.content ?? null
    this.#contentBehaviour = chosen === null || chosen.byMessage ? null : chosen.choose(firstRecipient(transaction), '')
  }

  /** Whether the next bytes are content. */
  get receiving(): boolean {
    return this.#chunkBytes > 0 || (this.#content !== null && !this.#transaction?.counted)
  }

  /** Takes content from `at` on and returns where it stopped being content. */
  receive(input: Buffer, at: number): number {
    if (this.#chunkBytes > 0) return this.#receiveChunk(input, at)
    const content = this.#content as Content
    const end = content.take(input, at)
    const next = end === -1 ? input.length : end
    if (!this.#interrupted(content, next - at, end !== -1) && end !== -1) this.#finish(content)
    return next
  }

  #receiveChunk(input: Buffer, at: number): number {
    const taken = Math.min(this.#chunkBytes, input.length - at)
    const content = this.#content
    content?.takeCounted(input.subarray(at, at + taken))
    this.#chunkBytes -= taken
    const done = this.#chunkBytes === 0
    if (content !== null && this.#interrupted(content, taken, done && this.#chunkLast)) return at + taken
    if (!done) return at + taken
    this.#chunkBytes = -1
    if (content === null) this.#session.say('503 5.5.1 MAIL and RCPT first\r\n')
    else if (this.#chunkLast) this.#finish(content)
    else this.#session.say('250 2.0.0 chunk taken\r\n')
    return at + taken
  }

  /** Plays what the script says about content under way. True when nothing more may be said to it. */
  #interrupted(content: Content, taken: number, complete: boolean): boolean {
    const chosen = this.#transaction?.rule?.content ?? null
    if (chosen === null) return false
    if (chosen.byMessage && this.#contentBehaviour === null) {
      const header = content.header()
      if (header === null && !complete) return false
      const messageId = fieldOf(header ?? '', 'Message-ID')
      this.#contentBehaviour = chosen.choose(firstRecipient(this.#transaction), messageId) ?? {}
    }
    const behaviour = this.#contentBehaviour
    if (behaviour === null) return false
    if (behaviour.ending !== undefined && content.wireBytes >= (behaviour.afterBytes ?? 1)) {
      this.#session.endByScript(behaviour.ending)
      return true
    }
    const rate = behaviour.readBytesPerSecond
    if (rate !== undefined && !complete) this.#session.pauseReading(rate === 0 ? null : (taken * 1000) / rate)
    return false
  }

  #finish(content: Content): void {
    const { played, counters } = this.#host
    const session = this.#session
    const transaction = this.#transaction as Transaction
    const rule = transaction.rule ?? plainRule
    this.reset()
    if (transaction.to.length === 0) return session.say('554 5.5.1 no valid recipients\r\n')
    if (content.tooBig) return session.say(`552 5.3.4 message is larger than ${played.sizeBytesMax} bytes\r\n`)
    const answer = rule.final === null ? null : finalAnswer(rule.final, transaction, content)
    if (answer !== null && answer.code >= 400) return session.give(answer, '', null)

    this.messages++
    counters.messages++
    counters.recipients += transaction.to.length
    // Taken before the answer waits for its latency: a client that gives up then has left a copy behind, as with a real server.
    const replyLost = answer !== null && answer.ending !== null && answer.bytes === ''
    const taken = this.#host.take(session, transaction, content, replyLost)
    const usual = `250 2.0.0 taken as ${session.id}-${this.messages}\r\n`
    if (taken === undefined) return session.give(answer, usual, null)
    session.giveAfter(taken, answer, usual, '451 4.3.0 it could not be recorded, try again later\r\n')
  }
}

const empty = Buffer.alloc(0)

function firstRecipient(transaction: Transaction | null): string {
  return transaction?.to[0]?.toLowerCase() ?? ''
}

function addRecipient(transaction: Transaction, command: PathCommand, rule: PlayedRule, accepted: boolean): void {
  if (transaction.rule === null || (accepted && transaction.to.length === 0)) transaction.rule = rule
  if (!accepted) return
  transaction.to.push(command.address)
  transaction.rcptParameters.push(command.parameters)
}

function finalAnswer(
  final: NonNullable<PlayedRule['final']>,
  transaction: Transaction,
  content: Content,
): Answer | null {
  const messageId = final.byMessage ? fieldOf(content.header() ?? '', 'Message-ID') : ''
  return final.choose(firstRecipient(transaction), messageId)
}
