/** For a supervisor without a directory: the tenants of the configuration file are all there are. */
import { StoreClient } from '../../src/app/store-client.ts'
import type { SupervisorOptions } from '../../src/app/supervisor.ts'
import { systemClock } from '../../src/kernel/clock.ts'

export const noTenants = (): Pick<SupervisorOptions, 'version' | 'directory' | 'store' | 'onConfirmSender'> => ({
  version: '0.0.0',
  directory: () => ({ version: 1, intake: [], preparing: [] }),
  store: new StoreClient(systemClock),
  onConfirmSender: async () => ({ outcome: 'unknown' }),
})
