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
  readonly tally: () => Pick<Tally<NoticeKind>, 'dueNotices' | 'endNotice'>
  readonly config: NoticesConfig
  readonly hostname: string
  readonly records: RecordReader
  readonly clock: Clock
  readonly log: ThreadLog
  /** Null: nobody can take it now. */
  readonly send: (mail: OutgoingMail) => Promise<Failure | null>
  /** The tally has something to write down. */
  readonly touch: () => void
}

export class NoticeDesk {
  readonly #options: NoticeDeskOptions
  readonly #underWay = new Set<string>()

  constructor(options: NoticeDeskOptions) {
    this.#options = options
  }

  look(): void {
    if (this.#underWay.size >= noticesUnderWayMax.value) return
    // Those under way are still due.
    for (const notice of this.#options.tally().dueNotices(noticesUnderWayMax.value)) {
      if (this.#underWay.has(notice.id) || this.#underWay.size >= noticesUnderWayMax.value) continue
      this.#underWay.add(notice.id)
      void this.#write(notice).then((sent) => {
        this.#underWay.delete(notice.id)
        // What is refused is tried again with the next look from outside.
        if (sent) this.look()
      })
    }
  }

  /** Whether it is on disk. */
  async #write(notice: DueNotice<NoticeKind>): Promise<boolean> {
    const { tally, send, touch, log } = this.#options
    const failure = await send(composeNotice(await this.#notice(notice)))
    if (failure !== null) {
      log('debug', 'a notice waits', { notice: notice.id, reason: failure.say })
      return false
    }
    tally().endNotice(notice.id, 'sent')
    touch()
    return true
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
