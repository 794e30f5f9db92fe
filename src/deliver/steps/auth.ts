/** AUTH PLAIN or LOGIN for a route with a password (RFC 4954). The password is sent through TLS, or to this machine, or not at all. */
import type { Connection } from '../connection.ts'
import type { State, Step } from '../dialogue.ts'
import { outcomeOfReply } from '../outcome.ts'
import type { Reply } from '../../standards/smtp-reply.ts'

export const auth: Step = {
  begin(connection) {
    const { capabilities } = connection
    const { user, password } = credentials(connection)
    // RFC 4616: authorization identity (empty), NUL, user, NUL, password.
    if (connection.tls === '' && !isOwnMachine(connection)) connection.failWith('authWithoutTls')
    else if (capabilities.authPlain) connection.send(`AUTH PLAIN ${base64(`\0${user}\0${password}`)}\r\n`)
    else if (capabilities.authLogin) connection.send('AUTH LOGIN\r\n')
    else connection.failWith('authNotOffered')
  },
  reply(connection, reply) {
    if (reply.code === 334 && !connection.capabilities.authPlain) return 'authUser'
    return accepted(connection, reply)
  },
}

export const authUser: Step = {
  begin(connection) {
    connection.send(`${base64(credentials(connection).user)}\r\n`)
  },
  reply(connection, reply) {
    return reply.code === 334 ? 'authPassword' : refused(connection, reply)
  },
}

export const authPassword: Step = {
  begin(connection) {
    connection.send(`${base64(credentials(connection).password)}\r\n`)
  },
  reply: accepted,
}

function accepted(connection: Connection, reply: Reply): State | null {
  return reply.code === 235 ? 'idle' : refused(connection, reply)
}

/** A wrong password is the operator's to mend: the mail waits. */
function refused(connection: Connection, reply: Reply): null {
  if (reply.digit < 4) return connection.failWith('setupProtocol', `reply ${reply.code} to AUTH`)
  return connection.fail(outcomeOfReply('auth', reply))
}

function credentials(connection: Connection): { readonly user: string; readonly password: string } {
  return connection.plan.site.credentials ?? { user: '', password: '' }
}

function isOwnMachine(connection: Connection): boolean {
  const { site, candidate } = connection.plan
  return site.trusted && (candidate.address === '::1' || candidate.address.startsWith('127.'))
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64')
}
