/** What intake asks of tenancy: who is this, and may it send as that? */

export interface Client {
  /** The tenant's name. */
  readonly tenant: string
  /** How it was recognised, for the log: "network 10.0.0.0/8" or "login app@example.com". */
  readonly how: string
}

export interface Clients {
  /** The client whose network holds this address, the most specific one first; null for a stranger. */
  byNetwork(address: string): Client | null
  /** Constant time for known and unknown users alike. */
  byLogin(user: string, password: string): Client | null
  /** May this client use this reverse-path? (Always true until domains belong to tenants.) */
  maySendAs(client: Client, returnPath: string): boolean
}
