/**
 * Port `net` on the system's sockets. `loopbackOnly` is the sandbox's promise of "no way out", kept here where sockets open and not
 * in routing, so that no mistake further up can break it.
 */
import { connect, isIP, Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls, createSecureContext, type SecureContext } from 'node:tls'
import type { ConnectTarget, Net, SecureOptions } from '../../ports/net.ts'

export function openNet(options: { readonly loopbackOnly: boolean }): Net {
  let sharedContext: SecureContext | null = null

  /** One context for every connection without options of its own: making one costs more than the rest of the set-up. */
  function contextFor(own: object): SecureContext {
    if (Object.keys(own).length > 0) return createSecureContext({ minVersion: 'TLSv1.2', ...own })
    // RFC 8996: TLS 1.0 and 1.1 must not be used.
    sharedContext ??= createSecureContext({ minVersion: 'TLSv1.2' })
    return sharedContext
  }

  return {
    connect(target: ConnectTarget): Socket {
      if (isIP(target.address) === 0) return failed('EADDRNOTAVAIL', `${target.address} is not an IP address`)
      if (options.loopbackOnly && !isLoopback(target.address)) {
        return failed('EPOLICY', `${target.address} is not loopback, and the sandbox connects nowhere else`)
      }
      if (target.source !== null && isIP(target.source) === 0) {
        return failed('EADDRNOTAVAIL', `the source ${target.source} is not an IP address`)
      }
      return connect({
        host: target.address,
        port: target.port,
        noDelay: true,
        ...(target.source === null ? {} : { localAddress: target.source }),
      })
    },

    secure(socket: Socket, secureOptions: SecureOptions) {
      const { serverName, verify, session, ...own } = secureOptions
      return connectTls({
        socket,
        secureContext: contextFor(own),
        // RFC 6066 §3: the extension carries host names only, no addresses.
        ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
        ...(session === undefined ? {} : { session }),
        rejectUnauthorized: verify,
        checkServerIdentity: (_, certificate) => checkServerIdentity(serverName, certificate),
      })
    },
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\.\d+\.\d+\.\d+$/i.test(address)
}

/** A socket that never connects and soon says why. */
function failed(code: string, message: string): Socket {
  return new Socket().destroy(Object.assign(new Error(message), { code }))
}
