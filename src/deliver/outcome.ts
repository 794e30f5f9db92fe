/**
 * What a reply or a failure means: the only place that decides between delivered, bounced, deferred and uncertain.
 *
 *   stage                          2yz         4yz                 5yz
 *   greeting … auth                –           deferred, site      deferred, site
 *   mail, data                     –           deferred, message   bounced, message
 *   rcpt                           –           deferred, recipient bounced, recipient
 *   final                          delivered   deferred, message   bounced, message
 *   anywhere                       421 is deferred, site: the server speaks of itself, not of the message
 *
 * The basic code decides (RFC 5321 §4.2.1). Before MAIL a permanent refusal is about us or the server, never about the message, so
 * the mail waits while a person may still cure it. The enhanced code informs: it is taken from this reply when its class agrees,
 * otherwise derived from the basic code, and never kept from an earlier reply.
 */
import { deriveStatus, statusLength } from '../standards/enhanced-status.ts'
import type { Reply } from '../standards/smtp-reply.ts'
import { outcomeTextMax } from '../model/limits.ts'
import type { DialogueStage, Outcome, OutcomeKind, OutcomeScope } from '../model/outcome.ts'

/** What a reply means for whom it answers. `othersAccepted`: this transaction already has an accepted recipient. */
export function outcomeOfReply(stage: DialogueStage, reply: Reply, othersAccepted = false): Outcome {
  const { code, digit } = reply
  if (digit === 3 || (digit === 2 && stage !== 'final')) {
    return outcomeOfFault('protocolError', stage, `unexpected reply ${code} ${replyText(reply)}`)
  }
  const { enhanced, stated, text } = readText(reply)
  if (digit === 2) return { kind: 'delivered', scope: 'message', stage, code, enhanced, text }
  if (code === 421 || beforeEnvelope.has(stage)) return { kind: 'deferred', scope: 'site', stage, code, enhanced, text }
  if (stage === 'rcpt') {
    const tooMany = othersAccepted && meansTooMany(code, enhanced, stated)
    const kind = digit === 4 || tooMany ? 'deferred' : 'bounced'
    return { kind, scope: 'recipient', stage, code, enhanced: tooMany ? '4.5.3' : enhanced, text }
  }
  return { kind: digit === 4 ? 'deferred' : 'bounced', scope: 'message', stage, code, enhanced, text }
}

const beforeEnvelope: ReadonlySet<DialogueStage> = new Set(['connect', 'greeting', 'ehlo', 'starttls', 'auth'])

/**
 * RFC 5321 §4.5.3.1.10: 452 beside accepted recipients means "too many at once", so the rest goes into the next transaction; 4.5.3
 * tells the scheduler that it may do so at once (`saysTooMany`). Another code beside 452, such as 4.3.1, means what it says. 552 5.5.3 is the same
 * from servers that follow RFC 821, and counts as 452.
 */
function meansTooMany(code: number, enhanced: string, stated: boolean): boolean {
  return code === 452 ? !stated : code === 552 && enhanced === '5.5.3'
}

type FaultMeaning = readonly [kind: OutcomeKind, scope: OutcomeScope, enhanced: string, say: string]

/** Failures without a reply that decides. The sentence is followed by the detail that the caller knows. */
const faults = {
  // Where to?
  noAddress: ['bounced', 'site', '5.4.4', 'no mail exchanger has an address'],
  addressRefused: ['bounced', 'site', '5.4.4', 'the mail exchanger has a private, loopback or reserved address'],
  loopsBack: ['bounced', 'site', '5.4.6', 'mail for this domain loops back to this server'],
  dnsTemporary: ['deferred', 'site', '4.4.3', 'the name server gives no answer'],
  // Is anybody there?
  connectFailed: ['deferred', 'site', '4.4.1', 'cannot connect'],
  connectTimeout: ['deferred', 'site', '4.4.1', 'no answer to the connection attempt'],
  setupTimeout: ['deferred', 'site', '4.4.2', 'no reply in time'],
  setupLost: ['deferred', 'site', '4.4.2', 'the connection was lost'],
  setupProtocol: ['deferred', 'site', '4.5.0', 'protocol error'],
  tlsNotOffered: [
    'deferred',
    'site',
    '4.7.4',
    'TLS with a verified certificate is required and STARTTLS is not offered',
  ],
  tlsFailed: ['deferred', 'site', '4.7.5', 'TLS could not be started'],
  authWithoutTls: ['deferred', 'site', '4.7.11', 'the route has a password, which is not sent without TLS'],
  authNotOffered: [
    'deferred',
    'site',
    '4.7.4',
    'the route has a password, and the server offers neither AUTH PLAIN nor AUTH LOGIN',
  ],
  // Can this message go there?
  tooBig: ['bounced', 'message', '5.3.4', 'the message is larger than the server takes'],
  eightBitNotOffered: [
    'bounced',
    'message',
    '5.6.3',
    'the message holds 8-bit data and the server does not offer 8BITMIME',
  ],
  utf8NotOffered: ['bounced', 'message', '5.6.7', 'the message needs SMTPUTF8 and the server does not offer it'],
  addressUnsafe: ['bounced', 'message', '5.1.3', 'an address of the envelope cannot be sent'],
  // What happened to it?
  protocolError: ['deferred', 'message', '4.5.0', 'protocol error'],
  replyTimeout: ['deferred', 'message', '4.4.2', 'no reply in time'],
  linkLost: ['deferred', 'message', '4.4.2', 'the connection was lost'],
  damaged: ['bounced', 'message', '5.3.0', 'the stored message is damaged and was set aside'],
  unreadable: ['deferred', 'message', '4.3.0', 'the stored message cannot be read now'],
  stopping: ['deferred', 'message', '4.3.2', 'this server is shutting down'],
  /** RFC 1047: everything was sent, so the receiver may have it. Sent again later; a duplicate is better than a loss. */
  finalReplyLost: ['uncertain', 'message', '4.4.2', 'the reply to the message was lost'],
} as const satisfies Record<string, FaultMeaning>

export type Fault = keyof typeof faults

export function outcomeOfFault(fault: Fault, stage: DialogueStage, detail = ''): Outcome {
  const [kind, scope, enhanced, say] = faults[fault]
  return { kind, scope, stage, code: 0, enhanced, text: escapeText(detail === '' ? say : `${say}: ${detail}`) }
}

/** The failure that says more about a site of which several addresses failed: a reply before silence, a hope before an end. */
export function moreTelling(first: Outcome | null, second: Outcome): Outcome {
  if (first === null) return second
  return telling(second) > telling(first) ? second : first
}

function telling(outcome: Outcome): number {
  if (outcome.kind === 'bounced') return 0
  return outcome.code === 0 ? 1 : 2
}

/** True when the reply carries an enhanced code of another class than its basic code: a server bug worth counting. */
export function statusDisagrees(reply: Reply): boolean {
  // Called for every reply, so the text is made only when its first byte disagrees.
  const statusClass = reply.firstTextByte - 48
  if (statusClass === reply.digit || (statusClass !== 2 && statusClass !== 4 && statusClass !== 5)) return false
  return statusLength(reply.lastLine) > 0
}

/** `stated`: the enhanced code is the server's own. */
function readText(reply: Reply): { enhanced: string; stated: boolean; text: string } {
  const line = reply.lastLine
  const length = statusLength(line)
  if (length === 0 || line.charCodeAt(0) - 48 !== reply.digit) {
    return { enhanced: deriveStatus(reply.code), stated: false, text: escapeText(replyText(reply)) }
  }
  const enhanced = line.slice(0, length)
  if (!reply.multiline) return { enhanced, stated: true, text: escapeText(line.slice(length + 1)) }
  // RFC 2034 §4: the same code stands on every line.
  const lines = reply.lines().map((one) => (one.startsWith(`${enhanced} `) ? one.slice(length + 1) : one))
  return { enhanced, stated: true, text: escapeText(lines.join(' ')) }
}

function replyText(reply: Reply): string {
  return reply.multiline ? reply.lines().join(' ') : reply.lastLine
}

/**
 * Makes foreign text harmless in logs, terminals and notices: what is not printable ASCII becomes "\xNN", so nobody can forge a line or
 * move a cursor. Markup stays as it is: whoever shows it as HTML escapes it there.
 */
function escapeText(text: string): string {
  const max = outcomeTextMax.value
  let at = 0
  while (at < text.length && isPrintable(text.charCodeAt(at))) at++
  if (at === text.length) return text.length <= max ? text : text.slice(0, max)
  let escaped = text.slice(0, Math.min(at, max))
  for (; at < text.length && escaped.length < max; at++) {
    const character = text.charCodeAt(at)
    const safe = isPrintable(character) ? text.charAt(at) : escapeCharacter(character)
    if (escaped.length + safe.length > max) break
    escaped += safe
  }
  return escaped
}

function isPrintable(character: number): boolean {
  return character >= 0x20 && character < 0x7f
}

function escapeCharacter(character: number): string {
  return character < 0x100
    ? `\\x${character.toString(16).padStart(2, '0')}`
    : `\\u${character.toString(16).padStart(4, '0')}`
}
