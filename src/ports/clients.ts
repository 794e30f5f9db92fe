/** What intake asks of tenancy: who is this, and may it send as that? */
import type { MailClass } from '../model/submission.ts'
import type { Scope, StreamDefaults } from './directory.ts'

export interface Client {
  /** What never changes of the tenant: its id in the directory, or its name in the configuration file. */
  readonly tenant: string
  /** How it was recognised, for the log: "network 10.0.0.0/8", "login app@example.com" or "key 0192…". */
  readonly how: string
  /** Of the key, login or network in the directory; absent for what the configuration file says. */
  readonly credentialId?: string
}

/** A client that showed a key. */
export interface KeyClient extends Client {
  readonly credentialId: string
  readonly scopes: readonly Scope[]
}

/** A tenant's kind of mail. */
export interface ClientStream {
  readonly mailClass: MailClass
  readonly defaults: StreamDefaults
}

/** Who is known cannot be said now. Thrown by `byLogin` and `byKey` only: networks are always known. */
export class DirectoryUnavailable extends Error {
  override readonly name = 'DirectoryUnavailable'
}

export interface Clients {
  /** Whether this address is in anybody's network: then `bySource` says whose mail it is, once the sender is known. */
  knowsNetwork(address: string): boolean
  /**
   * The client that sends as this ('' is the null sender) from that address. The most specific network that holds the address counts; of several
   * tenants in it the one that the sender is of, else the configuration file's. Null: a stranger, or nobody of them can be meant before the others.
   */
  bySource(address: string, sender: string): Client | null
  /**
   * Constant time for known and unknown users alike. A login that is bound to networks needs the address.
   * @throws DirectoryUnavailable
   */
  byLogin(user: string, password: string, address?: string): Client | null
  /**
   * Null: no such key, revoked, expired, its tenant suspended, or used from a network that it is not for.
   * @throws DirectoryUnavailable
   */
  byKey(secret: string, address: string): KeyClient | null
  /** False once what it was recognised by is revoked, or its tenant suspended: a session that is open then has lost its client. */
  isCurrent(client: Client): boolean
  /** The tenant's stream of that name; null when it has none. */
  stream(client: Client, name: string): ClientStream | null
  /** May this client use this address as reverse-path or in From? '' is the null sender. */
  maySendAs(client: Client, address: string): boolean
}
