/**
 * AUTH (RFC 4954) with PLAIN (RFC 4616) and LOGIN (as old clients do it). Once per session, only where nobody can listen, and under
 * the guard: a wrong password and an unknown user are told the same.
 */
import { isUtf8 } from 'node:buffer'
import { failures } from '../../../model/failures.ts'
import { type Client, DirectoryUnavailable } from '../../../ports/clients.ts'
import { authFailuresMax } from '../limits.ts'
import type { LoginExchange, Session } from '../session.ts'

export function auth(session: Session, args: string): void {
  const { guard } = session.server
  const [mechanism = '', initial, ...rest] = args.split(' ')
  if (!session.extended) return session.bad('503 5.5.1 send EHLO first')
  if (session.message !== null) return session.bad('503 5.5.1 a message is open')
  if (session.authenticated) return session.bad('503 5.5.1 already authenticated')
  if (!session.authAvailable) return session.bad('538 5.7.11 encryption is required first: use STARTTLS')
  if (mechanism === '' || rest.length > 0) return session.bad('501 5.5.4 the form is AUTH mechanism [response]')
  if (!guard.allows(session.peer.network) || session.loginFailures >= authFailuresMax.value) {
    return session.refuse(failures.tooManyAuthenticationFailures, 'auth')
  }
  const exchange = newExchange(mechanism, session)
  if (exchange === null) return session.bad('504 5.5.4 mechanism not supported, use PLAIN or LOGIN')
  session.startLogin(exchange)
  if (initial === undefined) session.reply(exchange.firstChallenge)
  else exchange.line(initial === '=' ? '' : initial) // RFC 4954 §4: "=" is an empty response
}

interface Exchange extends LoginExchange {
  readonly firstChallenge: string
}

function newExchange(mechanism: string, session: Session): Exchange | null {
  switch (mechanism.toUpperCase()) {
    case 'PLAIN':
      return new PlainExchange(session)
    case 'LOGIN':
      return new LoginNameExchange(session)
    default:
      return null
  }
}

class PlainExchange implements Exchange {
  readonly firstChallenge = '334 '
  readonly #session: Session

  constructor(session: Session) {
    this.#session = session
  }

  line(text: string): void {
    const response = decodeResponse(this.#session, text)
    if (response === null) return
    // RFC 4616 §2: authorization identity NUL authentication identity NUL password.
    const [actAs, user, password, ...rest] = response.split('\0')
    if (user === undefined || password === undefined || user === '' || rest.length > 0) return malformed(this.#session)
    // Nobody may act as somebody else.
    judge(this.#session, actAs === '' || actAs === user ? user : '', password)
  }
}

class LoginNameExchange implements Exchange {
  readonly firstChallenge = '334 VXNlcm5hbWU6' // "Username:"
  readonly #session: Session
  #user = ''

  constructor(session: Session) {
    this.#session = session
  }

  line(text: string): void {
    const response = decodeResponse(this.#session, text)
    if (response === null) return
    if (response === '' || response.includes('\0')) return malformed(this.#session)
    if (this.#user !== '') return judge(this.#session, this.#user, response)
    this.#user = response
    this.#session.reply('334 UGFzc3dvcmQ6') // "Password:"
  }
}

/** The text behind the base64, or null when the exchange is over for want of any. */
function decodeResponse(session: Session, text: string): string | null {
  if (text === '*') {
    session.endLogin()
    session.reply('501 5.7.0 authentication cancelled')
    return null
  }
  // Node's decoder skips what it does not know; only what encodes back to itself was base64 (RFC 4648 §3.3, §3.5).
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') === text && isUtf8(bytes)) return bytes.toString('utf8')
  malformed(session)
  return null
}

function malformed(session: Session): void {
  session.endLogin()
  session.bad('501 5.5.2 the response is malformed')
}

function judge(session: Session, user: string, password: string): void {
  const { guard, counters } = session.server
  session.endLogin()
  const client = clientOf(session, user, password)
  if (client === 'unavailable') return session.refuse(failures.directoryUnavailable, 'auth')
  if (client === null) {
    counters.loginsFailed++
    session.loginFailures++
    guard.failed(session.peer.network)
    session.refuse(failures.authenticationFailed, 'auth')
    return
  }
  session.client = client
  session.authenticated = true
  session.reply('235 2.7.0 authenticated')
}

function clientOf(session: Session, user: string, password: string): Client | null | 'unavailable' {
  try {
    return session.server.clients.byLogin(user, password, session.peer.address)
  } catch (error) {
    // RFC 4954 §6: a temporary failure, which is not the client's and is not counted as one.
    if (error instanceof DirectoryUnavailable) return 'unavailable'
    throw error
  }
}
