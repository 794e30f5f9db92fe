/**
 * What the sender asked to be told, as parameters for a receiver that offers DSN: telling it is that receiver's duty then (RFC 3461 §5.2.1). To any other nothing
 * of it is said (§5.2.2). The longest commands stay within what RFC 5321 §4.5.3.1.4 and RFC 3461 give them: MAIL 512, RCPT 512 + 29 for NOTIFY + 507 for ORCPT.
 */
import { type DsnRecipient, type DsnRequest, notifyOn } from '../model/submission.ts'
import type { PreparedMessage } from '../ports/messages.ts'
import { isAsciiAddress } from '../standards/address.ts'
import { originalRecipientBytesMax } from '../standards/limits.ts'
import { asciiUnitext, encodeUnitext, encodeXtext } from '../standards/xtext.ts'

export function mailParameters({ dsn }: PreparedMessage): string {
  if (dsn === null) return ''
  const { returns, envelopeId } = dsn
  return (returns === '' ? '' : ` RET=${returns}`) + (envelopeId === '' ? '' : ` ENVID=${envelopeId}`)
}

/** NOTIFY is passed on where it was given and never made up (§5.2.1). */
export function rcptParameters({ recipients, dsn, smtpUtf8 }: PreparedMessage, recipient: number): string {
  const asked = dsn?.recipients[recipient]
  if (asked === undefined) return ''
  const originalRecipient = originalOf(asked, recipients[recipient] as string, smtpUtf8)
  return notifyParameter(asked.notify) + (originalRecipient === '' ? '' : ` ORCPT=${originalRecipient}`)
}

function notifyParameter(notify: number): string {
  if (notify === 0) return ''
  if ((notify & notifyOn.never) !== 0) return ' NOTIFY=NEVER'
  const words = [
    (notify & notifyOn.success) !== 0 ? ['SUCCESS'] : [],
    (notify & notifyOn.failure) !== 0 ? ['FAILURE'] : [],
    (notify & notifyOn.delay) !== 0 ? ['DELAY'] : [],
  ]
  return ` NOTIFY=${words.flat().join(',')}`
}

/**
 * RFC 3461 §5.2.1: an ORCPT is passed on as it came, and where there was none the relay may add one, of the address that it was given. RFC 6533 §3: what is not
 * ASCII stays so where SMTPUTF8 is in use, and is escaped elsewhere. One that would be too long is left out, as it may be.
 */
function originalOf({ notify, originalRecipient }: DsnRecipient, address: string, smtpUtf8: boolean): string {
  if (originalRecipient === '' && notify === 0) return ''
  let written = originalRecipient
  if (written === '')
    written = isAsciiAddress(address) ? `rfc822;${encodeXtext(address)}` : `utf-8;${encodeUnitext(address)}`
  if (!smtpUtf8) written = asciiUnitext(written)
  return Buffer.byteLength(written) > originalRecipientBytesMax.value ? '' : written
}

/** Intake has checked all of it. A line break or space that came this far would begin a command or parameter of its own, so it is looked for again. */
export function isSafe({ envelopeId, recipients }: DsnRequest): boolean {
  return (
    !notPrintable.test(envelopeId) &&
    recipients.every(({ originalRecipient }) => !spaceOrControl.test(originalRecipient))
  )
}

const notPrintable = /[^\x21-\x7e]/
// oxlint-disable-next-line no-control-regex
const spaceOrControl = /[\x00-\x20\x7f-\x9f\u2028\u2029]/
