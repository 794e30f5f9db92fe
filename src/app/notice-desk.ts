/**
 * Sends the notices that are due: each is written and handed to whoever takes mail in, under the id that the tally gave it. When this thread or the process
 * dies in between, the tally makes the same notice again, and finds in the logs whether it went out.
 */
import type { NoticesConfig } from '../config/compiled.ts'
import type { DueNotice, Tally } from '../events/events.ts'
import { composeNotice, type NoticeKind, returnsWhole } from '../feedback/feedback.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Failure } from '../model/failures.ts'
import type { OutgoingMail } from '../ports/outbox.ts'
import type { RecordReader } from '../spool/spool.ts'
import type { ThreadLog } from './exchange.ts'
import { noticesUnderWayMax } from './limits.ts'
import { readOriginal } from './original.ts'

export interface NoticeDeskOptions {
  readonly tally: () => Pick<Tally<NoticeKind>, 'dueNotices' | 'endNotice' | 'putOffNotice'>
  readonly config: NoticesConfig
  readonly hostname: string
  readonly records: RecordReader
  readonly clock: Clock
  readonly log: ThreadLog
  /** Whether all is known that went out before. */
  readonly isOpen: () => boolean
  /** Calls back with the message in hand, so that a death over it is known; not at all when there were two. */
  readonly take: (number: number, act: () => void) => void
  /** Settles with null when it is on disk. */
  readonly send: (mail: OutgoingMail) => Promise<Failure | null>
  /** The tally has something to write down. */
  readonly touch: () => void
}

export class NoticeDesk {
  readonly #options: NoticeDeskOptions
  readonly #underWay = new Set<string>()
  /** One as long as they are refused: each costs up to a hundredth of a second, and nobody may want any. */
  #atOnce: number = noticesUnderWayMax.value
  #stopped = false

  constructor(options: NoticeDeskOptions) {
    this.#options = options
  }

  look(): void {
    const count = this.#atOnce - this.#underWay.size
    if (count <= 0 || this.#stopped || !this.#options.isOpen()) return
    // Those under way are still due.
    for (const notice of this.#options.tally().dueNotices(count, this.#underWay)) {
      this.#underWay.add(notice.id)
      void this.#send(notice).then((became) => this.#ended(notice, became))
    }
  }

  /** The tally is closed. */
  stop(): void {
    this.#stopped = true
  }

  #ended({ id }: DueNotice<NoticeKind>, became: Failure | 'sent' | 'dropped'): void {
    this.#underWay.delete(id)
    if (this.#stopped) return
    const { tally, touch, log } = this.#options
    touch()
    if (typeof became !== 'string') {
      log('debug', 'a notice waits', { notice: id, reason: became.say })
      this.#atOnce = 1
      // Behind the others: a tenant that is full must not hold up what is for all the rest. They come with the next look from outside.
      return tally().putOffNotice(id)
    }
    this.#atOnce = noticesUnderWayMax.value
    tally().endNotice(id, became)
    this.look()
  }

  async #send(notice: DueNotice<NoticeKind>): Promise<Failure | 'sent' | 'dropped'> {
    const { send, take, log } = this.#options
    const parts = await this.#notice(notice)
    const written: OutgoingMail[] = []
    take(notice.number, () => written.push(composeNotice(parts)))
    if (written[0] !== undefined) return (await send(written[0])) ?? 'sent'
    log('error', 'a notice cannot be written, and is left out', { notice: notice.id, message: notice.about.id })
    return 'dropped'
  }

  async #notice({
    id,
    number,
    kind,
    about,
    told,
  }: DueNotice<NoticeKind>): Promise<Parameters<typeof composeNotice>[0]> {
    const { config, hostname, records, clock } = this.#options
    const { tenant, returnPath, subject, from, acceptedAtMs } = about
    const original = await readOriginal(records, number, about.place, (asked, bytes) =>
      returnsWhole(kind, asked, bytes, config),
    )
    return {
      kind,
      id,
      tenant,
      from: config.from,
      hostname,
      nowMs: clock.nowMs(),
      returnPath,
      envelopeId: original?.dsn?.envelopeId ?? '',
      returns: original?.dsn?.returns ?? '',
      original: {
        id: about.id,
        subject,
        from,
        acceptedAtMs,
        header: original?.header ?? null,
        body: original?.body ?? null,
        smtpUtf8: original?.smtpUtf8 ?? false,
      },
      recipients: told.map(({ recipient, retriedUntilMs, ...rest }) => ({
        ...rest,
        originalRecipient: original?.dsn?.recipients[recipient]?.originalRecipient ?? '',
        willRetryUntilMs: retriedUntilMs,
      })),
    }
  }
}
