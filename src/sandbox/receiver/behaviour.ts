/** A script made ready to be played: recipients matched, firings counted, rates metered. The counts begin anew with each script. */
import type { Clock } from '../../kernel/clock.ts'
import type { Random } from '../../kernel/random.ts'
import { MiB, minuteMs } from '../../kernel/units.ts'
import type { Behaviour, ContentBehaviour, Ending, Firing, ReceiverScript, RuleScript } from './script.ts'

/** 100,000 keys × about 100 bytes = 10 MB per behaviour that counts by recipient or message. The oldest are forgotten. */
const countedKeysMax = 100_000

export interface PlayedScript {
  readonly hostname: string
  readonly sizeBytesMax: number
  readonly auth: ReceiverScript['auth'] | null
  readonly pipelining: boolean
  readonly chunking: boolean
  readonly startTls: boolean
  /** Parameters of MAIL and of RCPT that were offered. */
  readonly mailParameters: ReadonlySet<string>
  readonly rcptParameters: ReadonlySet<string>
  /** EHLO lines without STARTTLS, which depends on the session. */
  readonly ehloLines: readonly string[]
  readonly connect: Chosen<Answer>
  readonly ehlo: Chosen<Answer>
  readonly helo: Chosen<Answer>
  readonly startTlsAnswer: Chosen<Answer>
  readonly mail: Chosen<Answer>
  readonly quit: Chosen<Answer>
  readonly connectionsMax: number
  readonly messagesPerConnectionMax: number
  readonly recipientsPerMessageMax: number
  readonly meter: Meter | null
  readonly throttled: Answer
  readonly idleMsMax: number
  /** Some behaviour asks for the Message-ID. */
  readonly readsMessageId: boolean
  readonly rules: readonly PlayedRule[]
}

export interface PlayedRule {
  readonly patterns: readonly Pattern[]
  readonly rcpt: Chosen<Answer>
  readonly data: Chosen<Answer>
  readonly content: Chosen<ContentBehaviour>
  readonly final: Chosen<Answer>
  readonly meter: Meter | null
  readonly throttled: Answer
  readonly alone: boolean
}

/** A behaviour with its bytes made ready. */
export interface Answer {
  readonly latencyMinMs: number
  readonly latencySpanMs: number
  /** Latin-1 text of the bytes; null is the usual answer, '' none. */
  readonly bytes: string | null
  /** What the client makes of it, as far as we mean it: 0 when there is no code. */
  readonly code: number
  readonly times: number
  readonly byteEveryMs: number
  readonly ending: Ending | null
}

/** Behaviours of one stage; null when the script says nothing there, which is the fast way. */
export type Chosen<T> = Chooser<T> | null

interface Pattern {
  /** '' is any. */
  readonly local: string
  /** '' is any; '.example.com' its children. */
  readonly domain: string
}

class Chooser<T> {
  /** Whether some of them count by Message-ID. */
  readonly byMessage: boolean
  readonly #choices: readonly {
    readonly firing: Firing
    readonly value: T
    used: number
    readonly usedBy: Map<string, number>
  }[]
  readonly #random: Random

  constructor(choices: readonly { firing: Firing; value: T }[], random: Random) {
    this.#choices = choices.map((choice) => ({ ...choice, used: 0, usedBy: new Map() }))
    this.#random = random
    this.byMessage = choices.some((choice) => choice.firing.per === 'message')
  }

  /** The first that fires. `messageId` is '' where it is not known. */
  choose(recipient: string, messageId: string): T | null {
    for (const choice of this.#choices) {
      const { times, per, probability } = choice.firing
      const key = per === 'message' ? `${recipient}\n${messageId}` : per === 'recipient' ? recipient : null
      const used = key === null ? choice.used : (choice.usedBy.get(key) ?? 0)
      if (times !== undefined && used >= times) continue
      if (probability !== undefined && this.#random.fraction() >= probability) continue
      if (key === null) choice.used++
      else if (times !== undefined) remember(choice.usedBy, key, used + 1)
      return choice.value
    }
    return null
  }
}

function remember(usedBy: Map<string, number>, key: string, used: number): void {
  usedBy.set(key, used)
  if (usedBy.size > countedKeysMax) usedBy.delete(usedBy.keys().next().value as string)
}

/** Lets `perSecond` through, and a burst of one second's worth. */
class Meter {
  readonly #perSecond: number
  readonly #clock: Clock
  #tokens: number
  #countedMs: number

  constructor(perSecond: number, clock: Clock) {
    this.#perSecond = perSecond
    this.#clock = clock
    this.#tokens = Math.max(1, perSecond)
    this.#countedMs = clock.monotonicMs()
  }

  take(): boolean {
    const nowMs = this.#clock.monotonicMs()
    const earned = ((nowMs - this.#countedMs) * this.#perSecond) / 1000
    this.#tokens = Math.min(Math.max(1, this.#perSecond), this.#tokens + earned)
    this.#countedMs = nowMs
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}

/** What every recipient without a rule gets. */
export const plainRule: PlayedRule = {
  patterns: [],
  rcpt: null,
  data: null,
  content: null,
  final: null,
  meter: null,
  throttled: answerOf({}),
  alone: false,
}

export function playScript(
  script: ReceiverScript,
  clock: Clock,
  random: Random,
  hasCertificate: boolean,
): PlayedScript {
  const session = script.session ?? {}
  const offered = (name: string): boolean => !(script.hide as readonly string[] | undefined)?.includes(name)
  const choose = <G extends Firing, T>(given: G | readonly G[] | undefined, make: (one: G) => T): Chosen<T> => {
    if (given === undefined) return null
    const all = Array.isArray(given) ? (given as readonly G[]) : [given as G]
    return new Chooser(
      all.map((one) => ({ firing: one, value: make(one) })),
      random,
    )
  }
  const sizeBytesMax = script.sizeBytesMax ?? 50 * MiB
  const ehloLines = [
    ...['PIPELINING', '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES'].filter(offered),
    ...(offered('SIZE') ? [`SIZE ${sizeBytesMax}`] : []),
    ...(script.auth !== undefined && offered('AUTH') ? ['AUTH PLAIN LOGIN'] : []),
    ...(script.offer ?? []),
  ]
  const rules = (script.rules ?? []).map(
    (rule): PlayedRule => ({
      patterns: patternsOf(rule),
      rcpt: choose(rule.rcpt, answerOf),
      data: choose(rule.data, answerOf),
      content: choose(rule.content, (one: ContentBehaviour) => one),
      final: choose(rule.final, answerOf),
      meter: rule.messagesPerSecondMax === undefined ? null : new Meter(rule.messagesPerSecondMax, clock),
      throttled: answerOf({ reply: rule.throttleReply ?? '451 4.7.1 too fast, slow down' }),
      alone: rule.alone === true,
    }),
  )
  return {
    hostname: script.hostname ?? 'receiver.test',
    sizeBytesMax,
    auth: script.auth ?? null,
    pipelining: offered('PIPELINING'),
    chunking: script.offer?.includes('CHUNKING') === true,
    startTls: hasCertificate && offered('STARTTLS'),
    mailParameters: parametersOf(ehloLines, ofMail),
    rcptParameters: parametersOf(ehloLines, ofRcpt),
    ehloLines,
    connect: choose(session.connect, answerOf),
    ehlo: choose(session.ehlo, answerOf),
    helo: choose(session.helo, answerOf),
    startTlsAnswer: choose(session.starttls, answerOf),
    mail: choose(session.mail, answerOf),
    quit: choose(session.quit, answerOf),
    connectionsMax: session.connectionsMax ?? Number.POSITIVE_INFINITY,
    messagesPerConnectionMax: session.messagesPerConnectionMax ?? Number.POSITIVE_INFINITY,
    recipientsPerMessageMax: session.recipientsPerMessageMax ?? Number.POSITIVE_INFINITY,
    meter: session.messagesPerSecondMax === undefined ? null : new Meter(session.messagesPerSecondMax, clock),
    throttled: answerOf({ reply: session.throttleReply ?? '451 4.7.1 too fast, slow down' }),
    idleMsMax: session.idleMsMax ?? 10 * minuteMs,
    readsMessageId: rules.some((rule) => rule.content?.byMessage === true || rule.final?.byMessage === true),
    rules,
  }
}

/** RFC 5321 §4.1.1.11: only parameters of offered extensions may be used. */
function parametersOf(ehloLines: readonly string[], byExtension: ReadonlyMap<string, readonly string[]>): Set<string> {
  return new Set(ehloLines.flatMap((line) => byExtension.get((line.split(' ')[0] as string).toUpperCase()) ?? []))
}

const ofMail: ReadonlyMap<string, readonly string[]> = new Map([
  ['SIZE', ['SIZE']], // RFC 1870 §3
  ['8BITMIME', ['BODY']], // RFC 6152 §2
  ['SMTPUTF8', ['SMTPUTF8']], // RFC 6531 §3.4
  ['AUTH', ['AUTH']], // RFC 4954 §5
  ['DSN', ['RET', 'ENVID']], // RFC 3461 §4
  ['REQUIRETLS', ['REQUIRETLS']], // RFC 8689 §2
])
const ofRcpt: ReadonlyMap<string, readonly string[]> = new Map([['DSN', ['NOTIFY', 'ORCPT']]]) // RFC 3461 §4

function answerOf(behaviour: Behaviour): Answer {
  const { latencyMs = 0, reply, raw, ending = null } = behaviour
  const bytes = raw ?? (reply === undefined ? (ending === null ? null : '') : replyBytes(reply))
  const code = Number(/^[2-5]\d\d/.exec(bytes ?? '')?.[0] ?? 0)
  return {
    latencyMinMs: typeof latencyMs === 'number' ? latencyMs : latencyMs.min,
    latencySpanMs: typeof latencyMs === 'number' ? 0 : Math.max(0, latencyMs.max - latencyMs.min),
    bytes,
    code,
    times: raw === undefined ? 1 : (behaviour.rawTimes ?? 1),
    byteEveryMs: behaviour.byteEveryMs ?? 0,
    // RFC 5321 §3.8: after 421 the server closes.
    ending: ending ?? (code === 421 ? 'close' : null),
  }
}

/** RFC 5321 §4.2.1: all lines but the last have a hyphen after the code. */
function replyBytes(reply: string): string {
  const [code, lines] = [reply.slice(0, 3), reply.slice(4).split('\n')]
  const wire = lines.map((line, index) => `${code}${index < lines.length - 1 ? '-' : ' '}${line}\r\n`).join('')
  return Buffer.from(wire, 'utf8').toString('latin1')
}

function patternsOf(rule: RuleScript): Pattern[] {
  return (typeof rule.for === 'string' ? [rule.for] : rule.for).map((given) => {
    const pattern = given.toLowerCase()
    const at = pattern.lastIndexOf('@')
    const [local, domain] = [pattern.slice(0, Math.max(0, at)), pattern.slice(at + 1)]
    return { local: local === '*' ? '' : local, domain: domain === '*' ? '' : domain.replace(/^\*\./, '.') }
  })
}

/** The rule for an address given in lower case. */
export function ruleFor(script: PlayedScript, address: string): PlayedRule {
  if (script.rules.length === 0) return plainRule
  const at = address.lastIndexOf('@')
  const [local, domain] = [address.slice(0, at), address.slice(at + 1)]
  for (const rule of script.rules) {
    for (const pattern of rule.patterns) {
      if (pattern.local !== '' && pattern.local !== local) continue
      if (pattern.domain === '' || pattern.domain === domain) return rule
      if (pattern.domain.startsWith('.') && domain.endsWith(pattern.domain)) return rule
    }
  }
  return plainRule
}

/** Basic code of our own reply's bytes. */
export function codeOf(reply: string): number {
  return (reply.charCodeAt(0) - 48) * 100 + (reply.charCodeAt(1) - 48) * 10 + reply.charCodeAt(2) - 48
}

export function isSuccess(code: number): boolean {
  return code >= 200 && code < 300
}
