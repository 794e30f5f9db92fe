/**
 * Thread that holds idle SMTP sessions open, apart from whoever measures beside it: greeted, EHLO said, some also MAIL. It reports once, when all
 * of them stand, and counts what the server closes afterwards.
 */
import { connect, type Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'

export interface IdleClientsData {
  readonly port: number
  readonly sessions: number
  /** 0 … 1: how many of them have a transaction open. */
  readonly mailShare: number
}

export type FromIdleClients =
  | { readonly kind: 'open'; readonly elapsedMs: number }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'count'; readonly open: number }

/** Handshakes under way at once: the backlog of a listener is 511. */
const openingMax = 100
/** Ports of one source address: 28,000 on Linux unless told otherwise. */
const sessionsPerAddress = 20_000

if (parentPort !== null) hold(workerData as IdleClientsData)

function hold({ port, sessions, mailShare }: IdleClientsData): void {
  const say = (message: FromIdleClients): void => parentPort?.postMessage(message)
  const startedMs = performance.now()
  let begun = 0
  let standing = 0
  let closed = 0
  let done = false
  const next = (): void => {
    if (begun === sessions) return
    const number = begun++
    const localAddress = `127.0.0.${2 + Math.floor(number / sessionsPerAddress)}`
    const socket = connect({ port, host: '127.0.0.1', localAddress })
    const words = ['EHLO idle.test\r\n', ...(number < sessions * mailShare ? ['MAIL FROM:<idle@source.test>\r\n'] : [])]
    converse(socket, words, () => {
      standing += 1
      if (standing < sessions) return next()
      done = true
      say({ kind: 'open', elapsedMs: performance.now() - startedMs })
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      closed += 1
      if (!done) say({ kind: 'failed', reason: `session ${number + 1} was closed before all of them stood` })
    })
  }
  for (let i = 0; i < Math.min(openingMax, sessions); i++) next()
  parentPort?.on('message', () => say({ kind: 'count', open: standing - closed }))
}

/** Says each word after a whole 2xx reply, and calls back after the reply to the last. */
function converse(socket: Socket, words: string[], stands: () => void): void {
  let text = ''
  const listen = (chunk: Buffer): void => {
    text += chunk.toString('latin1')
    if (!/(?:^|\n)2\d\d [^\n]*\n$/.test(text)) return
    text = ''
    const word = words.shift()
    if (word !== undefined) return void socket.write(word)
    socket.off('data', listen)
    socket.resume()
    stands()
  }
  socket.on('data', listen)
}
