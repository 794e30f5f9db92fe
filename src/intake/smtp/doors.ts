/**
 * Who may come in, and who is inside. Somebody who is turned away costs a reply and no session: Node accepts one connection per turn of the
 * event loop, so that however many knock, those inside have every other turn.
 */
import type { Socket } from 'node:net'
import { failures } from '../../model/failures.ts'
import { peerOf } from '../peer.ts'
import { Connection, type Door, type ListenerTls } from './connection.ts'
import type { SmtpServer } from './server.ts'

export class Doors implements Door {
  readonly connections = new Set<Connection>()
  readonly #server: SmtpServer
  readonly #perNetwork = new Map<string, number>()
  #onEmpty: () => void = () => {}

  constructor(server: SmtpServer) {
    this.#server = server
  }

  enter(socket: Socket, tls: ListenerTls): void {
    const { config, counters } = this.#server
    if (this.connections.size >= config.connectionsMax) return this.#refuse(socket, tls)
    const peer = peerOf(socket)
    const inside = this.#perNetwork.get(peer.network) ?? 0
    // Nobody far away can come from loopback.
    if (inside >= config.connectionsPerAddressMax && !peer.loopback) return this.#refuse(socket, tls)
    counters.connections++
    this.#perNetwork.set(peer.network, inside + 1)
    this.connections.add(new Connection(this.#server, peer, socket, tls, this))
  }

  leave(connection: Connection): void {
    this.connections.delete(connection)
    if (this.connections.size === 0) this.#onEmpty()
    const { network } = connection.session.peer
    const inside = (this.#perNetwork.get(network) ?? 1) - 1
    if (inside === 0) this.#perNetwork.delete(network)
    else this.#perNetwork.set(network, inside)
  }

  /** When the last one has left. A closed server says so a moment before its last connection does. */
  async empty(): Promise<void> {
    if (this.connections.size > 0) await new Promise<void>((resolve) => (this.#onEmpty = resolve))
  }

  #refuse(socket: Socket, tls: ListenerTls): void {
    this.#server.counters.connectionsRefused++
    turnAway(socket, tls.mode === 'implicit' ? '' : tooMany)
  }
}

const tooMany = `${failures.tooManyConnections.smtp} ${failures.tooManyConnections.say}\r\n`

/** On a port with implicit TLS there is nobody who would understand a word: '' just closes. */
export function turnAway(socket: Socket, reply: string): void {
  socket.on('error', () => {})
  socket.end(reply, 'latin1', () => socket.destroySoon())
}
