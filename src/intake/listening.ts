/** What ports of both ways in have in common: where they are, and why one cannot be had. */
import { isIPv6, type Server } from 'node:net'
import { PosthasteError } from '../kernel/errors.ts'

export interface Place {
  readonly address: string
  readonly port: number
}

/** Of a server that listens. */
export function addressOf(server: Server): Place {
  const bound = server.address()
  return typeof bound === 'object' && bound !== null
    ? { address: bound.address, port: bound.port }
    : { address: '', port: 0 }
}

/** @param protocol also names the section of the configuration and the flag that choose the port */
export function listenFailure(
  protocol: 'smtp' | 'http',
  { address, port }: Place,
  error: NodeJS.ErrnoException,
): PosthasteError {
  const where = isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`
  const option = `${protocol}.listeners`
  const known: Record<string, readonly [string, string]> = {
    EADDRINUSE: [
      'another program listens there',
      `Stop that program, or choose another port in ${option} or with --${protocol}-port.`,
    ],
    EACCES: [
      'this user may not',
      `Ports below 1024 need the capability CAP_NET_BIND_SERVICE; or choose a higher port in ${option}.`,
    ],
    ENOTSUP: ['on this system threads cannot share a port', 'Set threads.intake to 1, or to 0 for none of its own.'],
    EADDRNOTAVAIL: [
      'this machine does not have that address',
      `Correct the address in ${option}; 0.0.0.0 and :: stand for all.`,
    ],
  }
  const [why, cure] = known[error.code ?? ''] ?? [error.message, `Correct ${option}.`]
  return new PosthasteError(
    `${protocol}_listen_failed`,
    `cannot listen for ${protocol.toUpperCase()} on ${where}: ${why}`,
    cure,
    { exitCode: 69, cause: error },
  )
}
