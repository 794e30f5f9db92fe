/** The times of dialogue.ts, as `posthaste config limits` prints them: where each comes from, and what silence beyond it means. */
import type { Limit } from '../kernel/limits.ts'
import { dialogue, type State } from './dialogue.ts'

type Fact = readonly [why: string, breach: string]

const likeMail = 'RFC 5321 §4.5.3.2 gives it no number of its own: that of MAIL.'
const password = 'RFC 4954 gives no number; looking up a password is quick.'
const later = 'deferred 4.4.2'

const facts: Readonly<Record<Exclude<State, 'closed'>, Fact>> = {
  connect: [
    'Linux repeats a SYN four times in it; nothing more comes of a longer wait.',
    'the next address; deferred 4.4.1',
  ],
  greeting: ['RFC 5321 §4.5.3.2.1.', `the next address; ${later}`],
  ehlo: [likeMail, `the next address; ${later}`],
  helo: [likeMail, `the next address; ${later}`],
  starttls: [
    'RFC 3207 gives no number; the answer costs a server nothing.',
    'plain text where it may be, else deferred 4.7.5',
  ],
  handshake: [
    'RFC 3207 gives no number; a handshake is two round trips.',
    'plain text where it may be, else deferred 4.7.5',
  ],
  auth: [password, `the next address; ${later}`],
  authUser: [password, `the next address; ${later}`],
  authPassword: [password, `the next address; ${later}`],
  idle: ['delivery.idle_connection when that is shorter; RFC 5321 §4.5.3.2.7: servers wait for five minutes.', 'QUIT'],
  prepare: ['Our own disk.', 'deferred 4.3.0'],
  envelope: ['RFC 5321 §4.5.3.2.2 … §4.5.3.2.4, for each reply.', later],
  content: ['RFC 5321 §4.5.3.2.5, for each block of 64 KiB (deliver.write).', later],
  final: ['RFC 5321 §4.5.3.2.6: a shorter wait makes duplicates.', 'uncertain 4.4.2: sent again, flagged'],
  ahead: ['RFC 5321 §4.5.3.2.2 … §4.5.3.2.4, for an envelope that is out already.', later],
  void: ['An empty content, which nobody waits for.', 'close'],
  reset: ['Outcomes that are known already wait for it.', 'close'],
  quit: ['Everything is settled; only politeness waits.', 'close'],
}

export function waitLimits(): Limit[] {
  const kebab = (name: string): string => name.replaceAll(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`)
  return (Object.keys(facts) as Exclude<State, 'closed'>[]).map((state) => ({
    name: `deliver.wait-${kebab(state)}`,
    value: dialogue[state].replyMsMax,
    unit: 'ms',
    owner: 'deliver',
    why: facts[state][0],
    breach: facts[state][1],
  }))
}
