/** Who asks, and what its key is good for. */
import type { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import { failures, httpFailures } from '../../model/failures.ts'
import type { Scope } from '../../ports/directory.ts'
import { peerOf } from '../peer.ts'
import { Problem } from './problem.ts'
import type { Caller, HttpServer } from './server.ts'

/** Throws a Problem when there is no key, or it does not open this. */
export function identify(server: HttpServer, request: FastifyRequest, scope: Scope): Caller {
  const peer = peerOf(request.raw.socket)
  const { authorization } = request.headers
  if (authorization === undefined) throw new Problem(failures.authenticationRequired)
  // Every key is looked for, known or not, in the same way; a bad form is a key that nobody has.
  const secret = /^Bearer +([\x21-\x7e]{1,512})$/i.exec(authorization)?.[1] ?? ''
  const client = server.clients.byKey(secret, peer.address)
  if (client === null) throw refused(server, peer.network, secret)
  if (!client.scopes.includes(scope)) {
    const cure = `Use a key with the scope ${scope}.`
    throw new Problem(httpFailures.scopeMissing, { detail: `this key does not have the scope ${scope}`, cure })
  }
  return { peer, client, secure: (request.raw.socket as Partial<TLSSocket>).encrypted === true }
}

/**
 * A key that is right is never turned away for others that were wrong: behind a proxy all clients have one address, and a key is too long
 * to be guessed by its holder's neighbours.
 */
function refused({ guard, counters }: HttpServer, network: string, secret: string): Problem {
  counters.keysFailed++
  if (!guard.allows(network)) return new Problem(failures.tooManyAuthenticationFailures)
  guard.failed(network)
  const cure = cureByForm(secret)
  return new Problem(failures.authenticationFailed, cure === null ? {} : { cure })
}

/** By the form alone, which tells nobody what keys there are. */
function cureByForm(secret: string): string | null {
  if (secret === '') return 'Send "Authorization: Bearer KEY": this header has another form.'
  return secret.startsWith('ph_smtp_')
    ? 'This is the password of an SMTP login: use an API key, which begins with ph_live_.'
    : null
}
