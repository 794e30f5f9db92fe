/**
 * One of several threads that take for the same tenant until nothing is left, each with a key of its own, in ones and threes, and give a third of it
 * back. Says how many it kept.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { VirtualClock } from '../../src/kernel/clock.ts'
import type { IntakeTenant } from '../../src/ports/directory.ts'
import { isQuotaRefusal } from '../../src/ports/quotas.ts'
import { QuotaTable, TenantQuotas } from '../../src/tenancy/tenancy.ts'

export interface RacerData {
  readonly memory: SharedArrayBuffer
  readonly nowMs: number
  readonly tenant: IntakeTenant
  readonly key: string
}

const { memory, nowMs, tenant, key } = workerData as RacerData
const quotas = new TenantQuotas(new QuotaTable(memory, new VirtualClock(nowMs)), { intake: [tenant] })
const client = { tenant: tenant.id, how: '', credentialId: key }
let kept = 0
for (let turn = 0; ; turn++) {
  const messages = turn % 2 === 0 ? 3 : 1
  const taken = quotas.take(client, messages)
  if (isQuotaRefusal(taken)) {
    if (messages === 1) break
  } else if (turn % 3 === 0) quotas.giveBack(taken)
  else kept += messages
}
parentPort?.postMessage(kept)
