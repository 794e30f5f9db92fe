/**
 * What must be true of a tenant's quota of a day, whatever was killed when. Counters are lost with the process and made anew from the logs, so:
 *
 *   not more     accepted by the lines ≤ quota + what one commit can hold. What is taken is taken before the commit, so that even this should be 0
 *   not less     nothing that a kill cut off stays taken: when everybody is refused in the last life, the quota was accepted to the last recipient
 *   one count    what the program says was used = what the lines say
 *   refused      means refused: it is in no line and never arrives
 *   accepted     is in a line and arrives; nothing else does, but what nobody was answered about
 */
import type { AccountingLine } from './record-checker.ts'

/** One recipient of one submission. */
export interface Offer {
  /** In the subject. */
  readonly id: string
  readonly rcpt: string
  /** Of the reply, 250 for a 202 by HTTP; 0 when there was none. */
  readonly code: number
}

export interface QuotaEvidence {
  readonly quota: number
  /** The most that one commit can hold. */
  readonly commitGroupMax: number
  readonly offers: readonly Offer[]
  readonly lines: readonly AccountingLine[]
  /** By recipient. */
  readonly arrived: ReadonlySet<string>
  /** By the program's own word, at the end; null when it does not know. */
  readonly shown: number | null
}

export interface QuotaVerdict {
  readonly violations: string[]
  readonly accepted: number
  readonly refused: number
  /** Accepted, and nobody was told. */
  readonly untold: number
  /** Accepted by the lines, of the tenant. */
  readonly used: number
  readonly shown: number | null
}

const shownMax = 10

export function checkQuota({ quota, commitGroupMax, offers, lines, arrived, shown }: QuotaEvidence): QuotaVerdict {
  const violations: string[] = []
  const complain = (what: string, names: readonly string[]): void => {
    for (const name of names.slice(0, shownMax)) violations.push(`quota: ${what}: ${name}`)
    if (names.length > shownMax) violations.push(`quota: ${what}: ${names.length - shownMax} more`)
  }
  const told = lines.flatMap(({ event, recipient }) => (event === 'accepted' ? [recipient] : []))
  const accounted = new Set(told)
  const used = told.length
  if (used > quota + commitGroupMax) violations.push(`quota: ${used} were accepted, and ${quota} may be`)
  if (used < quota) violations.push(`quota: everybody is refused, and of ${quota} only ${used} were accepted`)
  if (shown !== used) violations.push(`quota: by the program ${shown} were used, and by the lines ${used}`)

  const names = (some: readonly Offer[]): string[] => some.map(({ id, rcpt }) => `${id} ${rcpt}`)
  const accepted = offers.filter(({ code }) => code === 250)
  const refused = offers.filter(({ code }) => code >= 400)
  const known = new Set(offers.map(({ rcpt }) => rcpt))
  complain('acknowledged, and no line says so', names(accepted.filter(({ rcpt }) => !accounted.has(rcpt))))
  complain('acknowledged, and never arrived', names(accepted.filter(({ rcpt }) => !arrived.has(rcpt))))
  complain('refused, and accepted all the same', names(refused.filter(({ rcpt }) => accounted.has(rcpt))))
  complain('refused, and arrived all the same', names(refused.filter(({ rcpt }) => arrived.has(rcpt))))
  complain(
    'accepted by the lines, and never arrived',
    told.filter((rcpt) => !arrived.has(rcpt)),
  )
  complain(
    'accepted by the lines, and nobody offered it',
    told.filter((rcpt) => !known.has(rcpt)),
  )
  complain(
    'arrived, and no line says so',
    [...arrived].filter((rcpt) => !accounted.has(rcpt)),
  )
  const untold = offers.filter(({ code, rcpt }) => code === 0 && accounted.has(rcpt)).length
  return { violations, accepted: accepted.length, refused: refused.length, untold, used, shown }
}
