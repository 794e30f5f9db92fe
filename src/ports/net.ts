/** Port `net`: outgoing connections. The sandbox's form refuses every address that is not loopback. */
import type { Socket } from 'node:net'
import type { SecureContextOptions, TLSSocket } from 'node:tls'

export interface ConnectTarget {
  /** An IP address, never a name: whoever connects has resolved and checked it. */
  readonly address: string
  readonly port: number
  /** Local address to leave from; null lets the kernel choose. */
  readonly source: string | null
}

export interface SecureOptions extends SecureContextOptions {
  readonly serverName: string
  readonly verify: boolean
  /** A session ticket from an earlier connection to the same host, for resumption. */
  readonly session?: Buffer
}

export interface Net {
  /** Starts to connect; `error` is emitted on the socket, also for a refusal by policy (code `EPOLICY`). */
  connect(target: ConnectTarget): Socket
  /** Starts TLS as client on a connected socket. */
  secure(socket: Socket, options: SecureOptions): TLSSocket
}
