/** The directory in main: opened before the mail threads, which get its snapshots, and closed after them. */
import { openSqlite } from '../adapters/embedded/embedded.ts'
import type { Config } from '../config/config.ts'
import { systemClock } from '../kernel/clock.ts'
import { systemRandom } from '../kernel/random.ts'
import type { Directory } from '../ports/directory.ts'
import { type DirectorySchema, openDirectory } from '../tenancy/directory/directory.ts'

export async function openTenants({ dataDirectory, tenants }: Config): Promise<Directory> {
  const database = await openSqlite<DirectorySchema>(dataDirectory, 'directory.sqlite')
  return await openDirectory(database, { clock: systemClock, random: systemRandom, fileTenants: tenants })
}
