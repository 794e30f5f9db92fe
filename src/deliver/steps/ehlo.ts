/** We say who we are, the server says what it offers (RFC 5321 §4.1.1.1). One that does not know EHLO gets HELO. */
import { noCapabilities, readCapabilities } from '../capabilities.ts'
import type { Connection } from '../connection.ts'
import type { State, Step } from '../dialogue.ts'
import { outcomeOfReply } from '../outcome.ts'

export const ehlo: Step = {
  begin(connection) {
    connection.send(`EHLO ${connection.setting.ehloName}\r\n`)
  },
  reply(connection, reply) {
    if (reply.digit === 5) return 'helo'
    if (reply.code !== 250) return refused(connection, reply)
    // This replaces what was offered before TLS, which nobody had protected (RFC 3207 §4.2).
    const offered = readCapabilities(reply.lines())
    const { startTls, authPlain, authLogin } = offered
    const { lying, dsnRefused } = connection.setting.hosts
    if (lying.has(connection.hostKey)) connection.capabilities = { ...noCapabilities, startTls, authPlain, authLogin }
    else if (dsnRefused.has(connection.hostKey)) connection.capabilities = { ...offered, dsn: false }
    else connection.capabilities = offered
    return startTls && mayStartTls(connection) ? 'starttls' : afterTls(connection)
  },
}

export const helo: Step = {
  begin(connection) {
    connection.capabilities = noCapabilities
    connection.send(`HELO ${connection.setting.ehloName}\r\n`)
  },
  reply(connection, reply) {
    return reply.code === 250 ? afterTls(connection) : refused(connection, reply)
  },
}

function refused(connection: Connection, reply: Parameters<Step['reply']>[1]): null {
  if (reply.digit < 4) return connection.failWith('setupProtocol', `reply ${reply.code} to EHLO`)
  return connection.fail(outcomeOfReply('ehlo', reply))
}

function mayStartTls(connection: Connection): boolean {
  const { site, plain } = connection.plan
  return connection.tls === '' && site.tls !== 'never' && !plain
}

/** The connection is as safe as it will get: is that safe enough, and who are we? */
export function afterTls(connection: Connection): State | null {
  const { site } = connection.plan
  if (site.tls === 'verified' && connection.tls === '') return connection.failWith('tlsNotOffered')
  return site.credentials === null ? 'idle' : 'auth'
}
