/** For a supervisor without a directory: the tenants of the configuration file are all there are. */
import { StoreClient } from '../../src/app/store-client.ts'
import type { SupervisorOptions } from '../../src/app/supervisor.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { makeQuotaMemory } from '../../src/tenancy/tenancy.ts'

export const noTenants = (): Pick<
  SupervisorOptions,
  'version' | 'directory' | 'quotaMemory' | 'store' | 'onConfirmSender'
> => ({
  version: '0.0.0',
  directory: () => ({ version: 1, intake: [], preparing: [] }),
  quotaMemory: makeQuotaMemory(1),
  store: new StoreClient(systemClock),
  onConfirmSender: async () => ({ outcome: 'unknown' }),
})
