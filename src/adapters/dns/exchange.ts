/** One question to one server: over UDP, and over TCP when the datagram cannot be believed. */
import { createSocket } from 'node:dgram'
import { connect, isIPv6 } from 'node:net'

import type { Clock } from '../../kernel/clock.ts'
import type { Random } from '../../kernel/random.ts'
import { type Server, serverName } from './servers.ts'
import { type Message, type Question, rcodes, readReply, type SentQuestion, writeQuestion } from './wire.ts'

/** The server gave nothing to go on. `answered`: it is alive, so asking the same again at once is no use. */
export interface Unanswered {
  readonly unanswered: string
  readonly answered: boolean
}

export interface Exchanges {
  readonly clock: Clock
  readonly random: Random
  /** Cancels what is under way; each exchange adds and removes its own. */
  readonly open: Set<() => void>
}

type Raw = Message | Unanswered | 'ask over TCP'

/** Never rejects. Takes at most four times `timeoutMs`: UDP and TCP, with and without EDNS. */
export async function ask(
  exchanges: Exchanges,
  server: Server,
  question: Question,
  timeoutMs: number,
): Promise<Message | Unanswered> {
  for (;;) {
    const sent = writeQuestion(question, exchanges.random, { edns: server.edns, mixCase: server.keepsCase })
    let reply = await overUdp(exchanges, server, sent, timeoutMs)
    if (reply === 'ask over TCP') reply = await overTcp(exchanges, server, sent, timeoutMs)
    if ('unanswered' in reply) return reply
    if (reply.rcode === rcodes.noError || reply.rcode === rcodes.noSuchName) return reply
    if (!sent.edns || !refusesEdns(reply.rcode)) {
      return { unanswered: `${serverName(server)} answers ${rcodeName(reply.rcode)}`, answered: true }
    }
    server.edns = false
  }
}

function refusesEdns(rcode: number): boolean {
  return rcode === rcodes.formatError || rcode === rcodes.notImplemented || rcode === rcodes.badVersion
}

function rcodeName(rcode: number): string {
  if (rcode === rcodes.serverFailure) return 'SERVFAIL'
  if (rcode === rcodes.refused) return 'REFUSED'
  return `with error ${rcode}`
}

/**
 * RFC 5452 §9: a fresh socket per question gives a fresh port, chosen by the kernel at random; being connected, it takes
 * datagrams from the server's own address and port only.
 */
function overUdp(exchanges: Exchanges, server: Server, sent: SentQuestion, timeoutMs: number): Promise<Raw> {
  return once<Raw>(exchanges, server, timeoutMs, (settle) => {
    const socket = createSocket(isIPv6(server.address) ? 'udp6' : 'udp4')
    socket.on('error', (error) => settle(unreachable(server, error)))
    socket.on('message', (bytes) => {
      const reading = readReply(bytes, sent)
      if (reading.kind === 'foreign') return
      // A forger who guessed id and port but not the letters' case ends here: over TCP only the server itself can answer.
      const doubtful = reading.kind === 'unusable' || (server.keepsCase && !reading.message.caseKept)
      settle(doubtful ? 'ask over TCP' : reading.message)
    })
    socket.on('connect', () => socket.send(sent.bytes))
    socket.connect(server.port, server.address)
    return () => {
      // `connect` may be on its way already, and sending on a closed socket throws.
      socket.removeAllListeners('connect')
      socket.close()
    }
  })
}

/** RFC 7766 §8: the length in two bytes, then the message. */
function overTcp(
  exchanges: Exchanges,
  server: Server,
  sent: SentQuestion,
  timeoutMs: number,
): Promise<Message | Unanswered> {
  return once<Message | Unanswered>(exchanges, server, timeoutMs, (settle) => {
    const socket = connect({ host: server.address, port: server.port })
    const received = Buffer.allocUnsafe(2 + 65_535)
    let bytes = 0
    socket.on('error', (error) => settle(unreachable(server, error)))
    socket.on('close', () => settle({ unanswered: `${serverName(server)} closes without an answer`, answered: true }))
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.copy(received, bytes)
      if (bytes < 2 || bytes < 2 + received.readUInt16BE(0)) return
      settle(believe(server, received.subarray(2, 2 + received.readUInt16BE(0)), sent))
    })
    const prefix = Buffer.alloc(2)
    prefix.writeUInt16BE(sent.bytes.length)
    socket.write(Buffer.concat([prefix, sent.bytes]))
    return () => socket.destroy()
  })
}

function believe(server: Server, bytes: Buffer, sent: SentQuestion): Message | Unanswered {
  const reading = readReply(bytes, sent)
  if (reading.kind === 'message') {
    if (!reading.message.caseKept) server.keepsCase = false
    return reading.message
  }
  const reason = reading.kind === 'unusable' ? reading.reason : 'belongs to another question'
  return { unanswered: `the reply of ${serverName(server)} ${reason}`, answered: true }
}

function unreachable(server: Server, error: Error): Unanswered {
  const code = 'code' in error ? String(error.code) : error.message
  return { unanswered: `${serverName(server)} cannot be reached (${code})`, answered: false }
}

/** Runs `start`, which returns how to stop, until it settles, its time is over, or the resolver is closed. */
function once<T>(
  exchanges: Exchanges,
  server: Server,
  timeoutMs: number,
  start: (settle: (result: T) => void) => () => void,
): Promise<T | Unanswered> {
  return new Promise((resolve) => {
    let stop: (() => void) | null = null
    const settle = (result: T | Unanswered): void => {
      timer.cancel()
      exchanges.open.delete(cancel)
      stop?.()
      stop = null
      resolve(result)
    }
    const cancel = (): void => settle({ unanswered: 'the resolver is closed', answered: false })
    const timer = exchanges.clock.after(timeoutMs, () => {
      settle({ unanswered: `${serverName(server)} does not answer within ${timeoutMs} ms`, answered: false })
    })
    exchanges.open.add(cancel)
    stop = start(settle)
  })
}
