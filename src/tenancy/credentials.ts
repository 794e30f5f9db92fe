/** Who is recognised by what it knows: keys and logins. */
import { hash, timingSafeEqual } from 'node:crypto'
import type { TenantConfig } from '../config/compiled.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Client, KeyClient } from '../ports/clients.ts'
import type { IntakeKey, IntakeTenant } from '../ports/directory.ts'
import { type Network, parseAddress, parseNetwork, samePrefix } from '../standards/network.ts'
import { configError } from './config-error.ts'
import { isSecret, sha256 } from './directory/secrets.ts'

interface Login {
  readonly passwordSha256: Buffer
  readonly client: Client
  readonly doors: Doors
}

interface Key {
  readonly key: IntakeKey
  readonly tenant: string
  readonly doors: Doors
}

/** What a stranger's password is compared with. */
const noPassword = Buffer.alloc(32)

export class Credentials {
  readonly #clock: Clock
  readonly #logins = new Map<string, Login>()
  readonly #keys = new Map<string, Key>()

  /** Throws PosthasteError for a user that is given twice, and for what is no hash. */
  constructor(fileTenants: readonly TenantConfig[], clock: Clock) {
    this.#clock = clock
    for (const { name, logins } of fileTenants) for (const one of logins) this.#addOfFile(name, one)
  }

  /** Returns the ids of those that open something: a user of the file comes before one of the directory. */
  add({ id: tenant, keys, logins }: IntakeTenant): string[] {
    for (const key of keys) this.#keys.set(key.sha256, { key, tenant, doors: new Doors(key.networks) })
    const own = logins.filter(({ user }) => !this.#logins.has(user))
    for (const { id, user, passwordSha256, networks } of own) {
      const client = { tenant, how: `login ${user}`, credentialId: id }
      this.#logins.set(user, login(client, passwordSha256, networks))
    }
    return [...keys.map(({ id }) => id), ...own.map(({ id }) => id)]
  }

  remove({ keys, logins }: IntakeTenant): void {
    for (const key of keys) this.#keys.delete(key.sha256)
    for (const { id, user } of logins) if (this.#logins.get(user)?.client.credentialId === id) this.#logins.delete(user)
  }

  byLogin(user: string, password: string, address: string | undefined): Client | null {
    const known = this.#logins.get(user)
    const right = timingSafeEqual(hash('sha256', password, 'buffer'), known?.passwordSha256 ?? noPassword)
    return right && known !== undefined && known.doors.open(address) ? known.client : null
  }

  byKey(secret: string, address: string): KeyClient | null {
    if (!isSecret('live', secret)) return null
    // Found by its hash: how long that takes tells of the hash of a guess, and nothing of any key.
    const found = this.#keys.get(sha256(secret))
    if (found === undefined || !found.doors.open(address)) return null
    const { id, scopes, expiresMs } = found.key
    if (expiresMs !== null && this.#clock.nowMs() >= expiresMs) return null
    return { tenant: found.tenant, how: `key ${id}`, credentialId: id, scopes }
  }

  #addOfFile(tenant: string, { user, passwordSha256 }: TenantConfig['logins'][number]): void {
    if (this.#logins.has(user))
      throw configError('login_repeated', `the login "${user}" is given twice`, 'Give each login to one tenant only.')
    if (!/^[0-9a-f]{64}$/i.test(passwordSha256)) {
      throw configError(
        'bad_password_hash',
        `the password hash of "${user}" is not SHA-256 in hex`,
        'Give 64 hex digits, as sha256sum prints them.',
      )
    }
    this.#logins.set(user, login({ tenant, how: `login ${user}` }, passwordSha256, []))
  }
}

function login(client: Client, passwordSha256: string, networks: readonly string[]): Login {
  return { passwordSha256: Buffer.from(passwordSha256, 'hex'), client, doors: new Doors(networks) }
}

/** Where a key or login may be used from. Read when it is first used: most never meet this thread. */
class Doors {
  readonly #written: readonly string[]
  #networks: readonly Network[] | null = null

  constructor(networks: readonly string[]) {
    this.#written = networks
  }

  open(text: string | undefined): boolean {
    if (this.#written.length === 0) return true
    const address = text === undefined ? null : parseAddress(text)
    if (address === null) return false
    const { words } = address
    this.#networks ??= this.#written.flatMap((cidr) => parseNetwork(cidr) ?? [])
    return this.#networks.some((one) => one.words.length === words.length && samePrefix(words, one.words, one.prefix))
  }
}
