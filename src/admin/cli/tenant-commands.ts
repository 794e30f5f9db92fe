/** `posthaste tenant …`: who shares this engine. Tenants of the configuration file are not among them. */
import type { Command } from 'commander'
import type { TenantWire } from '../directory-wire.ts'
import type { CliContext } from './context.ts'
import { tell, withEngineOptions, type EngineFlags } from './engine-client.ts'
import { registerQuota } from './quota-command.ts'
import { table } from './table.ts'
import { pathOf, tenantsPath } from './tenant-path.ts'

interface ListFlags extends EngineFlags {
  readonly after?: string
  readonly limit?: string
}

export function registerTenant(program: Command, context: CliContext): void {
  const tenant = program.command('tenant').description('who shares this engine')
  withEngineOptions(tenant.command('add <name>').description('a new tenant')).action(
    async (name: string, flags: EngineFlags) => {
      const request = { method: 'POST', path: tenantsPath, body: { name } } as const
      await tell<TenantWire>(
        context,
        flags,
        request,
        (made) => `${describe(made)}\nNext: posthaste key add ${name} main`,
      )
    },
  )
  withEngineOptions(tenant.command('list').description('all of them, the oldest first'))
    .option('--limit <n>', 'how many (1 to 500)')
    .option('--after <id>', 'only those made after this one')
    .action(async (flags: ListFlags) => {
      const query = new URLSearchParams()
      for (const name of ['limit', 'after'] as const) if (flags[name] !== undefined) query.set(name, flags[name])
      const path = query.size === 0 ? tenantsPath : `${tenantsPath}?${query.toString()}`
      await tell<TenantsPage>(context, flags, { path }, (page) => describePage(context, page))
    })
  withEngineOptions(tenant.command('show <tenant>').description('one, by its id or name')).action(
    async (called: string, flags: EngineFlags) =>
      void (await tell<TenantWire>(context, flags, { path: pathOf(called) }, describe)),
  )
  withEngineOptions(tenant.command('rename <tenant> <name>').description('another name; the id stays')).action(
    async (called: string, name: string, flags: EngineFlags) => {
      const request = { method: 'PATCH', path: pathOf(called), body: { name } } as const
      await tell<TenantWire>(context, flags, request, describe)
    },
  )
  registerQuota(tenant, context)
  for (const [verb, description] of [
    ['suspend', 'its keys, logins and networks open nothing until it is resumed; mail that it handed over goes on'],
    ['resume', 'its keys, logins and networks are good again'],
  ] as const) {
    withEngineOptions(tenant.command(`${verb} <tenant>`).description(description)).action(
      async (called: string, flags: EngineFlags) =>
        void (await tell<TenantWire>(context, flags, { method: 'POST', path: pathOf(called, verb) }, describe)),
    )
  }
}

interface TenantsPage {
  readonly tenants: readonly TenantWire[]
  readonly next: string | null
}

function describePage(context: CliContext, { tenants, next }: TenantsPage): string {
  if (tenants.length === 0) return 'There is no tenant yet. Make one: posthaste tenant add acme'
  const columns = [{ title: 'NAME' }, { title: 'ID' }, { title: 'CREATED' }, { title: 'STATE' }]
  const rows = tenants.map((tenant) => [tenant.name, tenant.id, tenant.created_at, stateOf(tenant)])
  const more = next === null ? '' : `\n${context.style('dim', `There is more: --after ${next}`)}`
  return `${table(context, columns, rows)}${more}`
}

const stateOf = ({ suspended }: TenantWire): string => (suspended ? 'suspended' : 'active')

const describe = (tenant: TenantWire): string =>
  `Tenant ${tenant.name}, ${stateOf(tenant)}, id ${tenant.id}, since ${tenant.created_at}.`
