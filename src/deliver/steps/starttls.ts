/** STARTTLS (RFC 3207). A verified site gets TLS or nothing; an opportunistic one takes what it can get (RFC 7435). */
import type { Step } from '../dialogue.ts'
import { outcomeOfReply } from '../outcome.ts'
import { afterTls } from './ehlo.ts'

export const starttls: Step = {
  begin(connection) {
    connection.send('STARTTLS\r\n')
  },
  reply(connection, reply) {
    if (reply.digit === 3) return connection.failWith('setupProtocol', `reply ${reply.code} to STARTTLS`)
    // 421 announces that the server hangs up; other refusals leave the connection usable in plain text.
    if (reply.code === 421) return connection.fail(outcomeOfReply('starttls', reply))
    if (reply.digit !== 2) return afterTls(connection)
    // Bytes that came in the clear behind the 220 would be read as if TLS had protected them (the injection of 2011).
    if (!connection.nothingUnread)
      return connection.failWith('setupProtocol', 'bytes in the clear after the reply to STARTTLS')
    return 'handshake'
  },
}

/** Ended by the TLS socket's own events. */
export const handshake: Step = {
  begin(connection) {
    connection.secure()
  },
  reply: (connection) => connection.failWith('setupProtocol', 'a reply during the TLS handshake'),
}
