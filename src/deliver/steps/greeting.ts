/** The socket connects, the server greets (RFC 5321 §3.1). Nothing is sent before the greeting is whole. */
import type { Step } from '../dialogue.ts'
import { outcomeOfReply } from '../outcome.ts'

/** Ended by the socket's own events. */
export const connect: Step = {
  begin() {},
  reply: (connection) => connection.failWith('setupProtocol', 'a reply before the connection'),
}

export const greeting: Step = {
  begin() {},
  reply(connection, reply) {
    if (reply.code === 220) return 'ehlo'
    if (reply.digit < 4) return connection.failWith('setupProtocol', `greeting ${reply.code}`)
    // RFC 7504 lets 521 and 554 mean "no mail here, ever". Servers also use 554 for blocks that people lift, so the mail waits.
    return connection.fail(outcomeOfReply('greeting', reply))
  },
}
