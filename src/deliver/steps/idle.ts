/** Between transactions, and the way out of them. */
import type { Step } from '../dialogue.ts'

export const idle: Step = {
  begin() {},
  /** Usually 421: the server hangs up. Whatever it is, it answers nothing that we said. */
  reply: (connection) => connection.failWith('linkLost', 'a reply to nothing'),
}

/** After a transaction that did not come to its content, so that its envelope does not mix with the next one (RFC 5321 §4.1.1.5). */
export const reset: Step = {
  begin(connection) {
    connection.send('RSET\r\n')
  },
  reply(connection, reply) {
    if (reply.digit === 2) return 'idle'
    // Nobody refuses RSET. It is what DATA was answered, of a server that gave one reply too many before.
    if (reply.code !== 421) connection.transaction?.unsettle()
    return connection.failWith('protocolError', `reply ${reply.code} to RSET`)
  },
}

/** RFC 5321 §4.1.1.10: the server answers 221 and closes; whatever it does, we are done. */
export const quit: Step = {
  begin(connection) {
    connection.send('QUIT\r\n')
  },
  reply: (connection) => connection.failWith('linkLost', 'QUIT'),
}
