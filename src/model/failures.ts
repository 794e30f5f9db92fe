/**
 * The catalogue of refusals: one value says what the SMTP client, the HTTP client, the log and the metric need. Codes are
 * stable; a new reason is a new entry. Reply codes: RFC 5321 §4.2, enhanced codes: RFC 3463, RFC 5248.
 */
import { formatBytes } from '../kernel/units.ts'

export interface Failure {
  /** Stable name, used by metrics, logs and the HTTP API. */
  readonly code: string
  /** Basic and enhanced code, as sent. */
  readonly smtp: string
  readonly http: number
  /** True when trying again later may help. */
  readonly retry: boolean
  readonly say: string
}

const failure = (code: string, smtp: string, http: number, say: string): Failure =>
  Object.freeze({ code, smtp, http, retry: smtp.startsWith('4'), say })

export const failures = {
  spoolFull: failure('spool_full', '452 4.3.1', 503, 'no space left for new mail, try again later'),
  spoolBusy: failure('spool_busy', '452 4.3.1', 503, 'too much mail is waiting for the disk, try again later'),
  spoolBroken: failure('spool_broken', '451 4.3.0', 503, 'mail cannot be stored now, try again later'),
  draining: failure('draining', '421 4.3.2', 503, 'shutting down, try again later'),
  tooManyRecipients: failure('too_many_recipients', '452 4.5.3', 422, 'too many recipients in one message'),
  messageTooBig: (limitBytes: number): Failure =>
    failure('message_too_big', '552 5.3.4', 413, `message is larger than ${formatBytes(limitBytes)}`),
} as const
