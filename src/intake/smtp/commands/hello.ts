/** EHLO and HELO (RFC 5321 §4.1.1.1): the client's name, and what we can do. Either one starts the session's mail afresh. */
import type { Session } from '../session.ts'

/**
 * What a client calls itself goes into Received, so only what a domain or address literal is written with is taken. Underscores are,
 * because machines have them in their names; whether it is true is not asked.
 */
const helloName = /^[A-Za-z0-9._:[\]-]{1,254}$/

export function ehlo(session: Session, args: string): void {
  if (!hello(session, args)) return
  session.extended = true
  const { hostname, config } = session.server
  const keywords = ['PIPELINING', `SIZE ${config.messageBytesMax}`, '8BITMIME', 'SMTPUTF8', 'DSN']
  if (session.tlsAvailable && !session.secure) keywords.push('STARTTLS')
  if (session.authAvailable) keywords.push('AUTH PLAIN LOGIN')
  keywords.push('ENHANCEDSTATUSCODES', 'CHUNKING')
  session.reply(`250-${hostname}`)
  keywords.forEach((keyword, i) => session.reply(`250${i === keywords.length - 1 ? ' ' : '-'}${keyword}`))
}

export function helo(session: Session, args: string): void {
  if (!hello(session, args)) return
  session.extended = false
  session.reply(`250 ${session.server.hostname}`)
}

function hello(session: Session, args: string): boolean {
  if (!helloName.test(args)) {
    session.bad('501 5.5.4 give your host name, or an address in square brackets')
    return false
  }
  session.reset()
  session.hello = args
  return true
}
