/** The commands, one handler each (RFC 5321 §4.1.1 and the extensions that EHLO names). */
import { auth } from './commands/auth.ts'
import { bdat, data } from './commands/content.ts'
import { mail, rcpt } from './commands/envelope.ts'
import { ehlo, helo } from './commands/hello.ts'
import { expn, help, noop, quit, rset, vrfy } from './commands/plain.ts'
import { starttls } from './commands/starttls.ts'
import type { Session } from './session.ts'

export interface Command {
  /** The client must wait for the reply before it sends more (RFC 2920 §3.1, RFC 3207 §4, RFC 4954 §4). */
  readonly endsGroup: boolean
  readonly run: (session: Session, args: string) => void
}

const alone = (run: Command['run']): Command => ({ endsGroup: true, run })
const inGroup = (run: Command['run']): Command => ({ endsGroup: false, run })

/**
 * RFC 2920 also lets VRFY, NOOP, QUIT and a last BDAT only end a group. They may stand anywhere here: their replies change nothing about
 * how the bytes behind them are to be read, and clients do send the next MAIL right behind the content.
 */
export const commands: ReadonlyMap<string, Command> = new Map([
  ['EHLO', alone(ehlo)],
  ['HELO', alone(helo)],
  ['STARTTLS', alone(starttls)],
  ['AUTH', alone(auth)],
  ['MAIL', inGroup(mail)],
  ['RCPT', inGroup(rcpt)],
  ['DATA', alone(data)],
  ['BDAT', inGroup(bdat)],
  ['RSET', inGroup(rset)],
  ['NOOP', inGroup(noop)],
  ['VRFY', inGroup(vrfy)],
  ['EXPN', inGroup(expn)],
  ['HELP', inGroup(help)],
  ['QUIT', inGroup(quit)],
])

/** Verbs of HTTP: a browser was made to talk to us, and each answer would only feed it. */
export const foreignVerbs: ReadonlySet<string> = new Set([
  'GET',
  'POST',
  'HEAD',
  'PUT',
  'DELETE',
  'OPTIONS',
  'CONNECT',
  'PATCH',
  'TRACE',
  'PRI',
])
