/** A tenant of the directory with a key and a proven domain, made before the program starts, so that a test of the sending API needs no DNS. */
import { openLog } from '../../src/app/log.ts'
import { openTenants } from '../../src/app/tenants.ts'
import type { Config } from '../../src/config/config.ts'
import type { DirectorySnapshot } from '../../src/ports/directory.ts'

export interface ApiTenant {
  /** Of a key that may send and read. */
  readonly secret: string
  /** For a supervisor that has no directory of its own. */
  readonly snapshot: DirectorySnapshot
}

/** What the tenant may send as. Nothing is signed for it, because the records of its keys are not proven. */
export const apiSender = 'orders@shop.example'

export async function makeApiTenant(config: Config): Promise<ApiTenant> {
  const { directory } = await openTenants(config, openLog(config.log))
  try {
    const { id } = await directory.createTenant('shop')
    const domain = await directory.addDomain(id, { domain: 'shop.example' })
    await directory.verifyDomain(id, domain.id, [domain.record.value])
    const { secret } = await directory.createKey(id, {
      name: 'test',
      scopes: ['send', 'read'],
      networks: [],
      expiresMs: null,
    })
    return { secret, snapshot: directory.snapshot() }
  } finally {
    await directory.close()
  }
}
