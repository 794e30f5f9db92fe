/** What is said of mail that has no way: the only place in this stage that makes outcomes. Codes: RFC 3463 §3.2, §3.5; RFC 7505 §4. */
import { outcomeTextMax } from '../model/limits.ts'
import type { Outcome } from '../model/outcome.ts'

const reasons = {
  /** Row 117, 119: neither the domain nor an address of it exists. */
  noSuchDomain: {
    kind: 'bounced',
    stage: 'resolve',
    code: 0,
    enhanced: '5.1.2',
    say: (domain: string) => `${domain} does not exist in DNS`,
  },
  noAddress: {
    kind: 'bounced',
    stage: 'resolve',
    code: 0,
    enhanced: '5.1.2',
    say: (domain: string) => `${domain} has no mail exchanger and no address`,
  },
  /** Row 118. */
  dnsFails: {
    kind: 'deferred',
    stage: 'resolve',
    code: 0,
    enhanced: '4.4.3',
    say: (domain: string, why: string) => `DNS has no answer for ${domain}: ${why}`,
  },
  /** Row 120. */
  nullMx: {
    kind: 'bounced',
    stage: 'route',
    code: 556,
    enhanced: '5.1.10',
    say: (domain: string) => `${domain} accepts no mail (null MX)`,
  },
  /** Rows 122, 124. */
  noUsableExchanger: {
    kind: 'bounced',
    stage: 'resolve',
    code: 0,
    enhanced: '5.4.4',
    say: (domain: string) => `no mail exchanger of ${domain} can be used`,
  },
  /** RFC 5321 §5.1: mail must not come back to us. */
  loop: {
    kind: 'bounced',
    stage: 'route',
    code: 0,
    enhanced: '5.4.6',
    say: (domain: string) => `the best mail exchanger of ${domain} is this server, which takes no mail for it`,
  },
  addressLiteral: {
    kind: 'bounced',
    stage: 'route',
    code: 0,
    enhanced: '5.7.1',
    say: (domain: string) => `mail to the address literal ${domain} is not sent; add a route for it if it should be`,
  },
  tooManySites: {
    kind: 'deferred',
    stage: 'route',
    code: 0,
    enhanced: '4.3.0',
    say: (domain: string) => `too many destinations at once, ${domain} has to wait`,
  },
} as const

/** It speaks of this recipient alone: there is no site that could be held back. */
export function noRoute(reason: keyof typeof reasons, domain: string, why = ''): Outcome {
  const { kind, stage, code, enhanced, say } = reasons[reason]
  return { kind, scope: 'recipient', stage, code, enhanced, text: printable(say(domain, why)) }
}

function printable(text: string): string {
  return text
    .replace(/\p{Cc}/gu, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`)
    .slice(0, outcomeTextMax.value)
}
