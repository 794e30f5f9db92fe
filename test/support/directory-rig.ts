/** A directory of tenants on a real file, with a clock and chance that obey. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Kysely } from 'kysely'
import { openSqlite } from '../../src/adapters/embedded/embedded.ts'
import type { TenantConfig } from '../../src/config/compiled.ts'
import { VirtualClock } from '../../src/kernel/clock.ts'
import { seededRandom } from '../../src/kernel/random.ts'
import type { Directory } from '../../src/ports/directory.ts'
import { makeQuotaMemory, QuotaRows, QuotaTable } from '../../src/tenancy/tenancy.ts'
import { type DirectorySchema, openDirectory } from '../../src/tenancy/directory/directory.ts'

export interface DirectoryRig {
  readonly folder: string
  readonly directory: Directory
  readonly clock: VirtualClock
  readonly quotaRows: QuotaRows
  readonly quotaTable: QuotaTable
  readonly db: Kysely<DirectorySchema>
  /** Closes it, and opens another on the same file. */
  reopen(): Promise<DirectoryRig>
}

/** Made once: a new one takes a tenth of a second. */
export const aPrivateKey = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
}).privateKey

export async function directoryRig(
  t: TestContext,
  fileTenants: readonly TenantConfig[] = [],
  makePrivateKey: () => Promise<string> = async () => aPrivateKey,
): Promise<DirectoryRig> {
  const folder = temporaryFolder(t)
  const clock = new VirtualClock()
  const random = seededRandom(7)
  const open = async (): Promise<DirectoryRig> => {
    const db = await openSqlite<DirectorySchema>(folder, 'directory.db')
    const quotaTable = new QuotaTable(makeQuotaMemory(), clock)
    const quotaRows = new QuotaRows(quotaTable)
    const directory = await openDirectory(db, { clock, random, fileTenants, quotaRows, makePrivateKey })
    t.after(() => directory.close())
    const reopen = async (): Promise<DirectoryRig> => {
      await directory.close()
      return await open()
    }
    return { folder, directory, clock, quotaRows, quotaTable, db, reopen }
  }
  return await open()
}

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'posthaste-directory-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}
