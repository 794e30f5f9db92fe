/** Two tenants on one directory: neither can see, change or take away what is the other's. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { directoryRig } from '../../../test/support/directory-rig.ts'
import type { Directory, Tenant } from '../../ports/directory.ts'

type Made = { readonly id: string; readonly tenantId: string }
type Kind = 'key' | 'login' | 'network' | 'domain' | 'sender' | 'stream'

interface Verbs {
  readonly make: (directory: Directory, tenant: string, n: number) => Promise<Made>
  readonly list: (directory: Directory, tenant: string) => Promise<readonly Made[]>
  /** Everything that takes the id of one. */
  readonly touch: readonly ((directory: Directory, tenant: string, id: string) => Promise<unknown>)[]
}

const verbs: Readonly<Record<Kind, Verbs>> = {
  key: {
    make: async (directory, tenant, n) => (await directory.createKey(tenant, { name: `${n}`, scopes: ['send'] })).key,
    list: (directory, tenant) => directory.listKeys(tenant),
    touch: [(directory, tenant, id) => directory.revokeKey(tenant, id)],
  },
  login: {
    make: async (directory, tenant) => (await directory.createLogin(tenant, {})).login,
    list: (directory, tenant) => directory.listLogins(tenant),
    touch: [(directory, tenant, id) => directory.revokeLogin(tenant, id)],
  },
  network: {
    make: (directory, tenant, n) => directory.addNetwork(tenant, `192.0.2.${n}`),
    list: (directory, tenant) => directory.listNetworks(tenant),
    touch: [(directory, tenant, id) => directory.removeNetwork(tenant, id)],
  },
  domain: {
    make: (directory, tenant, n) => directory.addDomain(tenant, { domain: `d${n}.example` }),
    list: (directory, tenant) => directory.listDomains(tenant),
    touch: [
      (directory, tenant, id) => directory.verifyDomain(tenant, id, []),
      (directory, tenant, id) => directory.rotateKey(tenant, id),
      (directory, tenant, id) => directory.proveKey(tenant, id, id, []),
      (directory, tenant, id) => directory.removeDomain(tenant, id),
    ],
  },
  sender: {
    make: async (directory, tenant, n) => (await directory.addSender(tenant, `a${n}@b.example`)).sender,
    list: (directory, tenant) => directory.listSenders(tenant),
    touch: [(directory, tenant, id) => directory.removeSender(tenant, id)],
  },
  stream: {
    make: (directory, tenant, n) => directory.createStream(tenant, { name: `s${n}`, mailClass: 'bulk' }),
    list: (directory, tenant) => directory.listStreams(tenant),
    touch: [
      (directory, tenant, id) => directory.changeStream(tenant, id, { mailClass: 'urgent' }),
      (directory, tenant, id) => directory.removeStream(tenant, id),
    ],
  },
}

const kinds = Object.keys(verbs) as Kind[]

test('whatever two tenants make, in whatever order, each lists its own, and the other’s ids are unknown', async (t) => {
  const { directory } = await directoryRig(t)
  let run = 0
  const step = fc.record({ tenant: fc.nat(1), kind: fc.constantFrom(...kinds) })
  const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
    run += 1
    const tenants = [await directory.createTenant(`one-${run}`), await directory.createTenant(`two-${run}`)] as const
    const made: { tenant: number; kind: Kind; id: string }[] = []
    for (const [n, { tenant, kind }] of steps.entries()) {
      const { id, tenantId } = await verbs[kind].make(directory, (tenants[tenant] as Tenant).id, n)
      assert.equal(tenantId, tenants[tenant]?.id)
      made.push({ tenant, kind, id })
    }
    for (const { tenant, kind, id } of made) {
      const other = (tenants[1 - tenant] as Tenant).id
      for (const touch of verbs[kind].touch)
        await assert.rejects(touch(directory, other, id), { code: `${kind}_unknown` }, kind)
    }
    for (const [tenant, { id: tenantId }] of tenants.entries()) {
      for (const kind of kinds) {
        const listed = await verbs[kind].list(directory, tenantId)
        const own = made.filter((one) => one.tenant === tenant && one.kind === kind).map(({ id }) => id)
        assert.deepEqual(listed.map(({ id }) => id).sort(), own.sort())
      }
      const part = directory.snapshot().intake.find(({ id }) => id === tenantId)
      const ownKeys = made.filter((one) => one.tenant === tenant && one.kind === 'key')
      assert.deepEqual(part?.keys.map(({ id }) => id).sort(), ownKeys.map(({ id }) => id).sort())
    }
  })
  await fc.assert(property, { numRuns: 10 })
})

test('what is asked of a tenant that is not there is refused, and so is SQL that calls itself an id', async (t) => {
  const { directory } = await directoryRig(t)
  const tenant = await directory.createTenant('one')
  const key = await directory.createKey(tenant.id, { name: "'; DROP TABLE tenants; --", scopes: ['send'] })
  for (const id of ['', "' OR '1'='1", '__proto__', tenant.id.toUpperCase(), '01890000-0000-7000-8000-000000000000']) {
    await assert.rejects(directory.getTenant(id), { code: 'tenant_unknown' })
    await assert.rejects(directory.renameTenant(id, 'x'), { code: 'tenant_unknown' })
    await assert.rejects(directory.suspendTenant(id), { code: 'tenant_unknown' })
    for (const kind of kinds) {
      await assert.rejects(verbs[kind].make(directory, id, 1), { code: 'tenant_unknown' })
      await assert.rejects(verbs[kind].list(directory, id), { code: 'tenant_unknown' })
      for (const touch of verbs[kind].touch) {
        await assert.rejects(touch(directory, id, key.key.id), { code: 'tenant_unknown' })
        await assert.rejects(touch(directory, tenant.id, id), { code: `${kind}_unknown` })
      }
    }
  }
  assert.deepEqual(await directory.listKeys(tenant.id), [key.key])
})
