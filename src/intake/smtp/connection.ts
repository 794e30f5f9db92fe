/** A session's socket: bytes in, replies out, TLS in between. Errors of either socket end in one place, `#gone`. */
import type { Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import type { Timer } from '../../kernel/clock.ts'
import type { Peer } from '../peer.ts'
import { handshakeMsMax, lingerMsMax } from './limits.ts'
import type { SmtpServer } from './server.ts'
import { type Link, Session } from './session.ts'

/** How one listener does TLS. */
export interface ListenerTls {
  readonly mode: 'none' | 'offered' | 'implicit'
  readonly context: SecureContext | null
}

/** Told when a connection is gone. */
export interface Door {
  leave(connection: Connection): void
}

export class Connection implements Link {
  readonly session: Session
  readonly #server: SmtpServer
  readonly #secureContext: SecureContext | null
  readonly #door: Door
  #socket: Socket
  #handshake: Timer | null = null
  #linger: Timer | null = null
  #isGone = false
  readonly #onData = (chunk: Buffer): void => this.session.input(chunk)
  readonly #onEnd = (): void => this.session.peerEnded()
  readonly #onDrain = (): void => this.session.sendReady()

  constructor(server: SmtpServer, peer: Peer, socket: Socket, tls: ListenerTls, door: Door) {
    this.#server = server
    this.#socket = socket
    this.#secureContext = tls.context
    this.#door = door
    socket.setNoDelay(true)
    socket.on('error', ignore)
    socket.on('close', () => this.#gone())
    this.session = new Session(server, peer, this, tls.mode)
    if (tls.mode !== 'implicit') this.#listen(socket)
  }

  send(replies: string): boolean {
    return this.#socket.write(replies, 'latin1')
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Between a timer and an immediate the event loop reads every socket, however late the timer was. */
  whenRead(then: () => void): void {
    setImmediate(then)
  }

  startTls(): void {
    const plain = this.#socket
    // Whatever still arrives in plain text is TLS's to refuse (RFC 3207 §4.2).
    plain.off('data', this.#onData).off('end', this.#onEnd).off('drain', this.#onDrain)
    const secure = new TLSSocket(plain, { isServer: true, secureContext: this.#secureContext as SecureContext })
    this.#socket = secure
    this.#handshake = this.#server.clock.after(handshakeMsMax.value, () => this.destroy())
    secure.on('error', ignore)
    secure.on('close', () => this.#gone())
    secure.once('secure', () => {
      this.#endHandshake()
      this.#server.counters.tlsHandshakes++
      this.#listen(secure)
      this.session.secured()
    })
  }

  end(): void {
    this.#socket.end()
    // What the peer still sends is read and forgotten: closing over unread bytes would reset the connection, and the last reply with it.
    this.#socket.resume()
    this.#linger ??= this.#server.clock.after(lingerMsMax.value, () => this.destroy())
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #listen(socket: Socket): void {
    socket.on('data', this.#onData).on('end', this.#onEnd).on('drain', this.#onDrain)
  }

  #endHandshake(): void {
    this.#handshake?.cancel()
    this.#handshake = null
  }

  #gone(): void {
    if (this.#isGone) return
    this.#isGone = true
    if (this.#handshake !== null) this.#server.counters.tlsFailures++
    this.#endHandshake()
    this.#linger?.cancel()
    this.session.lost()
    this.#socket.destroy()
    this.#door.leave(this)
  }
}

/** 'close' follows and says all there is to do. */
function ignore(): void {}
