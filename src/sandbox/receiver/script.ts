/**
 * What a receiver does, as plain data: a test writes it as an object, a person as YAML. Two parts, because a server knows
 * nothing of the recipient before RCPT: `session` says how it treats connections, `rules` how it treats recipients.
 *
 *   session:
 *     connect: { latencyMs: { min: 5, max: 20 } }
 *     messagesPerConnectionMax: 100
 *   rules:
 *     - for: [bounce@*, "*.gone.test"]
 *       rcpt: { reply: 550 5.1.1 no such user }
 *     - for: "*"
 *       final:
 *         - { reply: 451 4.7.1 try later, probability: 0.01 }
 *         - { ending: close, times: 1, per: message }      # the final reply is lost once
 */

/** Extensions that a receiver offers unless they are hidden; STARTTLS only with a certificate, AUTH only with `auth`. */
export const extensions = [
  'PIPELINING',
  'SIZE',
  '8BITMIME',
  'SMTPUTF8',
  'ENHANCEDSTATUSCODES',
  'STARTTLS',
  'AUTH',
] as const

export type Extension = (typeof extensions)[number]

export interface ReceiverScript {
  /** Name in the greeting and in the reply to EHLO. */
  readonly hostname?: string
  /** Largest content, announced by SIZE and enforced with 552. Default 50 MiB. */
  readonly sizeBytesMax?: number
  readonly hide?: readonly Extension[]
  /** Further lines of the EHLO reply: 'CHUNKING' turns BDAT on, 'DSN' and 'REQUIRETLS' their parameters; anything else is a lie to be told. */
  readonly offer?: readonly string[]
  /** AUTH PLAIN and LOGIN with this one account; `required` refuses MAIL before it with 530. */
  readonly auth?: { readonly user: string; readonly password: string; readonly required?: boolean }
  /** Makes probabilities and ranges repeatable; unset, the receiver's own Random decides. */
  readonly seed?: number
  readonly session?: SessionScript
  /** The first rule that matches a recipient is its rule. No rule: the recipient is accepted. */
  readonly rules?: readonly RuleScript[]
}

/** One behaviour, or several of which the first that fires is played. When none fires the usual answer is given. */
export type Behaviours = Behaviour | readonly Behaviour[]

export interface SessionScript {
  /** In place of the greeting. */
  readonly connect?: Behaviours
  readonly ehlo?: Behaviours
  readonly helo?: Behaviours
  /** A reply of 220 is followed by the handshake, also when more bytes come with it. */
  readonly starttls?: Behaviours
  readonly mail?: Behaviours
  readonly quit?: Behaviours
  /** Connections beyond it are greeted with 421. */
  readonly connectionsMax?: number
  /** MAIL after so many messages is answered 421. */
  readonly messagesPerConnectionMax?: number
  /** RCPT after so many accepted ones of a message is answered 452 4.5.3 (RFC 5321 §4.5.3.1.10). */
  readonly recipientsPerMessageMax?: number
  /** MAIL beyond it is answered with `throttleReply`. A burst of one second's worth is let through. */
  readonly messagesPerSecondMax?: number
  /** Default "451 4.7.1 too fast, slow down"; a 421 also closes. */
  readonly throttleReply?: string
  /** A session that sends nothing for so long is closed with 421. Default 10 minutes. */
  readonly idleMsMax?: number
}

export interface RuleScript {
  /** "ann@example.com", "example.com", "*.example.com" (its children), "ann@*", "*": letter case does not matter. */
  readonly for: string | readonly string[]
  readonly rcpt?: Behaviours
  /** Reply to DATA, by the first accepted recipient's rule, else by the first refused one's: so 354 can be given with no recipient. */
  readonly data?: Behaviours
  readonly content?: ContentBehaviour | readonly ContentBehaviour[]
  /** Reply to the final dot or last BDAT, by the first accepted recipient's rule. */
  readonly final?: Behaviours
  /** RCPT beyond it is answered with `throttleReply`. */
  readonly messagesPerSecondMax?: number
  readonly throttleReply?: string
  /** A recipient of this rule shares its message with nobody: the next RCPT is answered 452 4.5.3, so that its fate is its own. */
  readonly alone?: boolean
}

/** How often a behaviour fires. */
export interface Firing {
  /** 0 … 1, default 1. */
  readonly probability?: number
  /** At most so often; then the usual answer. */
  readonly times?: number
  /** What `times` counts by: all together (default), each recipient, or each pair of Message-ID and recipient (content and final only). */
  readonly per?: 'receiver' | 'recipient' | 'message'
}

export interface Behaviour extends Firing {
  readonly latencyMs?: number | { readonly min: number; readonly max: number }
  /**
   * "550 5.1.1 no such user"; a line break makes a reply of several lines. The code decides what follows: a 2xx or 354 goes on
   * as if we had meant it, 421 closes. At `final`, 4xx and 5xx mean that the message is not taken.
   */
  readonly reply?: string
  /** These bytes instead, each character up to U+00FF one byte: wrong line ends, differing codes, no code at all. */
  readonly raw?: string
  /** Sends `raw` so often, at the pace the client reads it. Endless is a large number. */
  readonly rawTimes?: number
  /** Sends the answer byte by byte, so far apart. */
  readonly byteEveryMs?: number
  /** What happens after the answer. Without `reply` or `raw` there is no answer at all: `close` at `final` is a lost final reply. */
  readonly ending?: Ending
}

/** `silence` keeps the connection open and never says anything again. */
export type Ending = 'close' | 'reset' | 'silence'

export interface ContentBehaviour extends Firing {
  /** Ends the connection once so many bytes of content came (default 1); with `per: message` also not before the header is complete. */
  readonly ending?: Ending
  readonly afterBytes?: number
  /** Reads no faster than this. 0 stops reading: the client sees a window that closes. */
  readonly readBytesPerSecond?: number
}
