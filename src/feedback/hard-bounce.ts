/**
 * Whether a bounce says that nothing will ever arrive at this address, so that the tenant's list should have it.
 *
 * To suppress a good address is worse than to try a dead one once more, so whatever leaves a doubt is no hard bounce. In this order:
 *
 *   1. It speaks of one recipient. A refusal of the message, the connection or the sender says nothing about a mailbox.
 *   2. What we found out ourselves counts when the domain is not there or takes no mail. A resolver that fails is never a bounce.
 *   3. Words that speak of policy, reputation, content, room, rate, or of the sender: no, whatever the codes say. Servers say "5.1.1" of full
 *      mailboxes and "550" of everything.
 *   4. A status that speaks of the mailbox (RFC 3463 §3.2, §3.3; RFC 7505 §4).
 *   5. A status that speaks of nothing, or none: known words for a mailbox that is not there.
 *
 * RFC 3463 (status codes), RFC 7505 (null MX), RFC 5321 §4.2.3.
 */
import type { Outcome } from '../model/outcome.ts'

export function isHardBounce({ kind, scope, stage, code, enhanced, text }: Outcome): boolean {
  if (kind !== 'bounced' || scope !== 'recipient') return false
  if (stage === 'route' || stage === 'resolve') return domainGone.has(enhanced)
  if (code < 500 || (stage !== 'rcpt' && stage !== 'final')) return false
  const words = withoutAddresses(text)
  if (speaksOfOther.test(words)) return false
  if (vague.has(enhanced) || (enhanced === '5.1.3' && code === 553)) return mayBeMailbox.has(code) && gone.test(words)
  // What Exchange Online says of an address that is not in the directory of its domain.
  if (enhanced === '5.4.1') return notInDirectory.test(words)
  return mailboxGone.has(enhanced)
}

const domainGone: ReadonlySet<string> = new Set(['5.1.2', '5.1.10'])

/** Bad mailbox, bad system, bad syntax, moved without a forwarding address, null MX, mailbox disabled. */
const mailboxGone: ReadonlySet<string> = new Set(['5.1.1', '5.1.2', '5.1.3', '5.1.6', '5.1.10', '5.2.1'])

/** Other or undefined. 553 beside 5.1.3 is among them, too: that may be derived, and servers say 553 of senders and relaying. */
const vague: ReadonlySet<string> = new Set(['5.0.0', '5.1.0', '5.2.0', '5.3.0', '5.5.0'])

/** RFC 5321 §4.2.3: mailbox unavailable, not local, name not allowed; and 554, which stands for all of them. */
const mayBeMailbox: ReadonlySet<number> = new Set([550, 551, 553, 554])

/** An address is made up by people and must not decide: "policy@example.com: user unknown". */
function withoutAddresses(text: string): string {
  if (!text.includes('@')) return text
  const words = text.split(' ')
  return words.filter((word) => !word.includes('@')).join(' ')
}

/** Alternatives without repeats inside repeats: the text is the receiver's, and at most 512 characters. */
const anyOf = (...alternatives: readonly string[]): RegExp => new RegExp(alternatives.join('|'), 'i')

const speaksOfOther = anyOf(
  // A status of security or policy, or of another class, further inside: the reply of the next server, handed on.
  String.raw`\b5\.7\.\d|\b4\.\d{1,3}\.\d|\bsaid:? 4\d\d\b`,
  // Reputation and content.
  String.raw`spam|\bjunk\b|unsolicited|bulk (e-?)?mail|virus|malware|phish|reputation|(black|block|deny|grey|gray) ?-?list`,
  String.raw`\bblock(ed|ing)?\b|\b(rbl|dnsbl|uribl|surbl|dbl)\b|\blisted (at|by|in|on)\b|\bbanned\b|\bcontent\b|attachment|suspicious|abuse`,
  // Policy and permission.
  String.raw`\bpolic(y|ies)\b|prohibit|administrative|not (permitted|allowed|authori[sz]ed)|unauthori[sz]ed|permission|restrict|members? only|only accepts|or access\b|challenge`,
  String.raw`\b(spf|dkim|dmarc|arc|starttls|tls)\b|authenticat|\bauth\b|credential`,
  String.raw`\brelay(ing)?\b( access)? (is |was )?(denied|not|prohibited|disallowed)|(unable|refuse|not allowed) to relay|rcpthosts|as a relay`,
  // Room and rate.
  String.raw`quota|\b(is|mailbox|inbox|folder|user|account) full\b|\bfull\)|over ?size|storage|too (big|large|long|many|much|fast|quickly|frequent)|pleine|\blleno\b`,
  String.raw`rate ?limit|\bat a rate\b|\bthrottl|temporar|(try|retry) (it )?(again|later)|\blater\b|timed? ?out|\bbusy\b|system problem|resources`,
  // The sender, and the machine that it comes from.
  String.raw`\bsender|\bfrom (address|domain)|\bmail from\b|(return|reverse)[ -]?path|\bhelo\b|\behlo\b|reverse dns|\bptr\b|\bclient (host|address)`,
  String.raw`\byour (ip|host|server|domain|account|access|mail ?server|network)\b`,
)

const gone = anyOf(
  String.raw`\bno such (user|recipient|mailbox|person|addressee|address|e-?mail|account|local user)|nosuchuser`,
  String.raw`\b(unknown|invalid|nonexistent|non-existent|unrecognized|bad|inactive|disabled|deactivated|expired) (local )?(user|recipient|mailbox|addressee|account|e-?mail address|destination address)\b`,
  String.raw`\b(user|recipient|mailbox|addressee|account|e-?mail address|address|alias)( \S{1,60})?( \S{1,60})? (is |was |has been |are )?(unknown|invalid|disabled|deactivated|discontinued|suspended|terminated|closed|inactive|expired|undeliverable|not found|not active|not known)\b`,
  String.raw`\b(user|recipient|mailbox|addressee|account|e-?mail address|address|alias)( \S{1,60})?( \S{1,60})? (does not|doesn.t|do not|cannot|could not|no longer) (exists?|be found)\b`,
  String.raw`\b(account|address|mailbox|user)( \S{1,60})? that you tried to reach (does not exist|is disabled|is inactive)`,
  String.raw`(doesn.t|does not) have an? \S{1,60} account|no longer (valid|active|exists|in use|available|works|employed)|left the (company|organi[sz]ation)`,
  String.raw`\bmailbox (is )?unavailable\b|\brecipient (is )?unavailable\b|\bno mailbox (here )?(by|with) that name|\bno mailbox\b|recipnotfound|recipientnotfound`,
  String.raw`\bnot (a|our) (valid|known|local) (user|mailbox|recipient|customer|address)|\bnot our (customer|user)|user not local`,
  String.raw`utilisateur inconnu|destinataire (invalide|inconnu)|adresse inconnue|empf.{1,6}nger (ist )?unbekannt|usuario desconocido|utente sconosciuto|usu.{1,4}rio desconhecido`,
)

const notInDirectory = anyOf(String.raw`\brecipient address rejected ?: ?access denied`)
