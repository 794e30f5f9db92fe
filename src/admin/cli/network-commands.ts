/** `posthaste network …`: where a tenant's mail comes from without a password. */
import type { Command } from 'commander'
import type { NetworkWire } from '../directory-wire.ts'
import { printable, type CliContext } from './context.ts'
import { tell, withEngineOptions, type EngineFlags } from './engine-client.ts'
import { table } from './table.ts'
import { pathOf } from './tenant-path.ts'

export function registerNetwork(program: Command, context: CliContext): void {
  const network = program.command('network').description('where a tenant sends from by SMTP without a password')
  withEngineOptions(
    network
      .command('add <tenant> <cidr>')
      .description('such as 192.0.2.0/24; tenants may share one, and the sender tells which is meant'),
  ).action(async (tenant: string, cidr: string, flags: EngineFlags) => {
    const request = { method: 'POST', path: pathOf(tenant, 'networks'), body: { cidr } } as const
    await tell<NetworkWire>(context, flags, request, (made) =>
      printable(`From ${made.cidr} ${tenant} sends as what it has proven, without a password; id ${made.id}.`),
    )
  })
  withEngineOptions(network.command('list <tenant>').description('all of them')).action(
    async (tenant: string, flags: EngineFlags) => {
      const request = { path: pathOf(tenant, 'networks') }
      await tell<{ readonly networks: readonly NetworkWire[] }>(context, flags, request, ({ networks }) => {
        if (networks.length === 0)
          return printable(`There is no network yet. Add one: posthaste network add ${tenant} 192.0.2.0/24`)
        const columns = ['NETWORK', 'ID', 'CREATED'].map((title) => ({ title }))
        return table(
          context,
          columns,
          networks.map((one) => [one.cidr, one.id, one.created_at]),
        )
      })
    },
  )
  withEngineOptions(
    network.command('remove <tenant> <cidr>').description('by its text or id; who is there is a stranger from then on'),
  ).action(async (tenant: string, cidr: string, flags: EngineFlags) => {
    const request = { method: 'DELETE', path: pathOf(tenant, 'networks', cidr) } as const
    await tell<NetworkWire>(context, flags, request, (gone) => `Network ${gone.cidr} is removed.`)
  })
}
