/** Receivers of the week: they take, refuse, put off for days, or never answer. What each will do is settled when the message is sent. */
import type { Random } from '../../src/kernel/random.ts'
import { hourMs } from '../../src/kernel/units.ts'
import type { Outcome } from '../../src/model/outcome.ts'
import type { Site } from '../../src/model/site.ts'
import type { RouteAnswer } from '../../src/shape/shape.ts'

const kinds = ['takes', 'refuses', 'defers', 'defers and refuses', 'silent', 'nowhere'] as const

/** Of each kind and those before it. */
const shares = [0.4, 0.5, 0.75, 0.85, 0.95, 1]

export interface Plan {
  readonly kind: (typeof kinds)[number]
  /** Puts it off before this time. */
  readonly untilMs: number
}

export function randomPlan(random: Random, nowMs: number): Plan {
  const dice = random.fraction()
  const kind = kinds[shares.findIndex((share) => dice < share)] ?? 'takes'
  // Some for minutes, some for longer than anybody tries.
  return { kind, untilMs: nowMs + random.fraction() ** 2 * 80 * hourMs }
}

export const domainFor = ({ kind }: Plan, random: Random): string =>
  kind === 'silent' || kind === 'nowhere' ? `${kind}.example` : `mx${random.uint32() % 3}.example`

export function routeTo(domain: string): RouteAnswer {
  if (domain === 'nowhere.example') return { failure: outcome('bounced', 'recipient', 'no such domain', 'route') }
  return { site: siteOf(domain), validForMs: 24 * hourMs }
}

const domains = ['mx0.example', 'mx1.example', 'mx2.example', 'silent.example']

const siteOf = (domain: string): Site => ({
  id: domains.indexOf(domain),
  name: `${domain}:25`,
  hosts: [{ host: domain, preference: 10 }],
  port: 25,
  tls: 'opportunistic',
  credentials: null,
  trusted: false,
  connectionsMax: 20,
})

/** @param about unlike that of any other attempt */
export function answerTo({ kind, untilMs }: Plan, nowMs: number, random: Random, about: string): Outcome {
  if (kind === 'silent') return outcome('deferred', 'site', about, 'connect')
  if (kind.startsWith('defers') && nowMs < untilMs) return outcome('deferred', 'recipient', about, 'rcpt')
  if (kind === 'refuses' || kind === 'defers and refuses') return outcome('bounced', 'recipient', about, 'rcpt')
  return random.fraction() < 0.08
    ? outcome('uncertain', 'message', about, 'final')
    : outcome('delivered', 'recipient', about, 'final')
}

/** For whom is beyond what the receiver takes in one transaction. */
export const tooMany: Outcome = {
  kind: 'deferred',
  scope: 'recipient',
  stage: 'rcpt',
  code: 452,
  enhanced: '4.5.3',
  text: 'too many recipients',
}

const codes: Readonly<Record<Outcome['kind'], readonly [code: number, enhanced: string]>> = {
  delivered: [250, '2.0.0'],
  bounced: [550, '5.1.1'],
  deferred: [451, '4.7.1'],
  uncertain: [0, '4.4.2'],
  expired: [0, '5.4.7'],
  suppressed: [0, '5.1.1'],
}

function outcome(kind: Outcome['kind'], scope: Outcome['scope'], text: string, stage: Outcome['stage']): Outcome {
  const [code, enhanced] = codes[kind]
  return { kind, scope, stage, code: scope === 'site' ? 0 : code, enhanced, text }
}
