/** Who may send, as the newest snapshot of the directory has it: whoever holds this never holds an old one. */
import type { Config } from '../config/config.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Client, DirectoryClients, KeyClient } from '../ports/clients.ts'
import type { IntakeTenant } from '../ports/directory.ts'
import { clientsOf } from '../tenancy/tenancy.ts'

export class CurrentClients implements DirectoryClients {
  readonly #config: Config
  readonly #clock: Clock
  #clients: DirectoryClients

  constructor(config: Config, intake: readonly IntakeTenant[], clock: Clock) {
    this.#config = config
    this.#clock = clock
    this.#clients = this.#made(intake)
  }

  /** In force when it returns. */
  replace(intake: readonly IntakeTenant[]): void {
    this.#clients = this.#made(intake)
  }

  #made(intake: readonly IntakeTenant[]): DirectoryClients {
    const { tenants, sandbox } = this.#config
    return clientsOf(tenants, { intake }, { anySender: sandbox, clock: this.#clock })
  }

  byNetwork(address: string): Client | null {
    return this.#clients.byNetwork(address)
  }

  byLogin(user: string, password: string, address?: string): Client | null {
    return this.#clients.byLogin(user, password, address)
  }

  byKey(secret: string, address: string): KeyClient | null {
    return this.#clients.byKey(secret, address)
  }

  isCurrent(client: Client): boolean {
    return this.#clients.isCurrent(client)
  }

  stream(client: Client, name: string): ReturnType<DirectoryClients['stream']> {
    return this.#clients.stream(client, name)
  }

  maySendAs(client: Client, address: string): boolean {
    return this.#clients.maySendAs(client, address)
  }
}
