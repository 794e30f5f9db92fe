/** `posthaste sender …` and `posthaste stream …`: single addresses that a tenant may send as, and its kinds of mail. */
import type { Command } from 'commander'
import { PosthasteError } from '../../kernel/errors.ts'
import type { SenderWire, StreamWire } from '../directory-wire.ts'
import { printable, type CliContext } from './context.ts'
import { tell, withEngineOptions, type EngineFlags } from './engine-client.ts'
import { table } from './table.ts'
import { pathOf } from './tenant-path.ts'

export function registerSenderAndStream(program: Command, context: CliContext): void {
  registerSender(program.command('sender').description('single addresses that a tenant may send as'), context)
  registerStream(program.command('stream').description('a tenant’s named kinds of mail'), context)
}

function registerSender(sender: Command, context: CliContext): void {
  withEngineOptions(
    sender
      .command('add <tenant> <address>')
      .description('mails a link to the address, which proves it; again: a new link'),
  ).action(async (tenant: string, address: string, flags: EngineFlags) => {
    const request = { method: 'POST', path: pathOf(tenant, 'senders'), body: { address } } as const
    await tell<SenderWire>(context, flags, request, (made) =>
      printable(`A link is on its way to ${made.address}. It works once, until ${made.link_expires_at}.`),
    )
  })
  withEngineOptions(sender.command('list <tenant>').description('all of them')).action(
    async (tenant: string, flags: EngineFlags) => {
      const request = { path: pathOf(tenant, 'senders') }
      await tell<{ readonly senders: readonly SenderWire[] }>(context, flags, request, ({ senders }) => {
        if (senders.length === 0)
          return printable(`There is no single sender. Add one: posthaste sender add ${tenant} ann@example.com`)
        const columns = ['ADDRESS', 'ID', 'VERIFIED'].map((title) => ({ title }))
        return table(
          context,
          columns,
          senders.map((one) => [
            one.address,
            one.id,
            one.verified_at ?? `no; its link works until ${one.link_expires_at}`,
          ]),
        )
      })
    },
  )
  withEngineOptions(
    sender.command('remove <tenant> <address>').description('by its address or id; nothing is sent as it from then on'),
  ).action(async (tenant: string, address: string, flags: EngineFlags) => {
    const request = { method: 'DELETE', path: pathOf(tenant, 'senders', address) } as const
    await tell<SenderWire>(context, flags, request, (gone) => printable(`Sender ${gone.address} is removed.`))
  })
}

interface StreamFlags extends EngineFlags {
  readonly class?: string
  readonly defaults?: string
}

const classProse = 'urgent, transactional or bulk'
const defaultsProse = 'what its messages have when they do not say otherwise, as JSON: expires_in, tags, campaign'

function registerStream(stream: Command, context: CliContext): void {
  withEngineOptions(stream.command('add <tenant> <name>').description('a new one'))
    .option('--class <class>', `${classProse} (transactional)`)
    .option('--defaults <json>', defaultsProse)
    .action(async (tenant: string, name: string, flags: StreamFlags) => {
      const body = { name, class: flags.class ?? 'transactional', ...defaultsOf(flags) }
      const request = { method: 'POST', path: pathOf(tenant, 'streams'), body } as const
      await tell<StreamWire>(context, flags, request, describe)
    })
  withEngineOptions(stream.command('list <tenant>').description('all of them')).action(
    async (tenant: string, flags: EngineFlags) => {
      const request = { path: pathOf(tenant, 'streams') }
      await tell<{ readonly streams: readonly StreamWire[] }>(context, flags, request, ({ streams }) => {
        if (streams.length === 0)
          return printable(`There is no stream yet. Make one: posthaste stream add ${tenant} receipts`)
        const columns = ['NAME', 'CLASS', 'ID', 'DEFAULTS'].map((title) => ({ title }))
        return table(
          context,
          columns,
          streams.map((one) => [one.name, one.class, one.id, JSON.stringify(one.defaults)]),
        )
      })
    },
  )
  withEngineOptions(stream.command('change <tenant> <stream>').description('its class or defaults; the name stays'))
    .option('--class <class>', classProse)
    .option('--defaults <json>', `${defaultsProse}; in place of those before`)
    .action(async (tenant: string, name: string, flags: StreamFlags) => {
      const body = { ...(flags.class === undefined ? {} : { class: flags.class }), ...defaultsOf(flags) }
      const request = { method: 'PATCH', path: pathOf(tenant, 'streams', name), body } as const
      await tell<StreamWire>(context, flags, request, describe)
    })
  withEngineOptions(stream.command('remove <tenant> <stream>').description('by its name or id')).action(
    async (tenant: string, name: string, flags: EngineFlags) => {
      const request = { method: 'DELETE', path: pathOf(tenant, 'streams', name) } as const
      await tell<StreamWire>(context, flags, request, (gone) => `Stream ${gone.name} is removed.`)
    },
  )
}

function defaultsOf({ defaults }: StreamFlags): { defaults?: unknown } {
  if (defaults === undefined) return {}
  try {
    return { defaults: JSON.parse(defaults) as unknown }
  } catch {
    throw new PosthasteError('bad_defaults', '--defaults is not JSON', `Write it like '{"tags": ["news"]}'.`, {
      exitCode: 64,
    })
  }
}

const describe = (stream: StreamWire): string =>
  printable(`Stream ${stream.name}: ${stream.class}, defaults ${JSON.stringify(stream.defaults)}; id ${stream.id}.`)
