/** For a supervisor without a directory: the tenants of the configuration file are all there are, and nobody is on any list. */
import { StoreClient } from '../../src/app/store-client.ts'
import type { SupervisorOptions } from '../../src/app/supervisor.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { seededRandom } from '../../src/kernel/random.ts'
import { makeSetMemory } from '../../src/kernel/shared-set.ts'
import { makeQuotaMemory } from '../../src/tenancy/tenancy.ts'

type WithoutDirectory = Pick<
  SupervisorOptions,
  'version' | 'directory' | 'quotaMemory' | 'suppressed' | 'store' | 'onConfirmSender'
>

export function noTenants(): WithoutDirectory {
  const suppressed = makeSetMemory(1, seededRandom(1))
  return {
    version: '0.0.0',
    directory: () => ({ version: 1, intake: [], preparing: [] }),
    quotaMemory: makeQuotaMemory(1),
    suppressed: () => suppressed,
    store: new StoreClient({ clock: systemClock }),
    onConfirmSender: async () => ({ outcome: 'unknown' }),
  }
}
