/** Commands that touch nothing, or end everything (RFC 5321 §4.1.1.5 … §4.1.1.10). */
import { failures } from '../../../model/failures.ts'
import { isAsciiAddress } from '../../../standards/address.ts'
import type { Session } from '../session.ts'

export function rset(session: Session, args: string): void {
  if (args !== '') return session.bad('501 5.5.4 RSET takes no argument')
  session.reset()
  session.reply('250 2.0.0 ok')
}

export function noop(session: Session): void {
  session.reply('250 2.0.0 ok')
}

/** Who exists here is nobody's business (RFC 5321 §3.5.3, §7.3). */
export function vrfy(session: Session, args: string): void {
  if (args === '') session.bad('501 5.5.4 VRFY needs an address')
  else if (!isAsciiAddress(args))
    session.refuse(failures.smtpUtf8Needed, 'session') // RFC 6531 §3.7.4.2
  else session.reply('252 2.0.0 send some mail, it will be tried')
}

export function expn(session: Session): void {
  session.bad('502 5.5.1 EXPN is not supported')
}

export function help(session: Session): void {
  session.reply('214 2.0.0 see RFC 5321')
}

export function quit(session: Session, args: string): void {
  if (args !== '') return session.bad('501 5.5.4 QUIT takes no argument')
  session.reply('221 2.0.0 bye')
  session.close()
}
