/** `posthaste key …` and `posthaste login …`: what programs of a tenant sign in with. */
import type { Command } from 'commander'
import type { KeyWire, LoginWire } from '../directory-wire.ts'
import { printable, type CliContext } from './context.ts'
import { tell, withEngineOptions, type EngineFlags } from './engine-client.ts'
import { several } from './flags.ts'
import { table } from './table.ts'
import { pathOf } from './tenant-path.ts'

interface NewKeyFlags extends EngineFlags {
  readonly scope?: readonly string[]
  readonly network?: readonly string[]
  readonly expires?: string
}

interface NewLoginFlags extends EngineFlags {
  readonly network?: readonly string[]
}

const onceSaid = 'It is shown now and never again: keep it where your program finds it.'
const networkProse = 'only from there, such as 10.0.0.0/8; may be given several times'

export function registerCredentials(program: Command, context: CliContext): void {
  registerKey(program.command('key').description('API keys: for programs that send by HTTP'), context)
  registerLogin(program.command('login').description('SMTP logins: for programs that send by SMTP'), context)
}

function registerKey(key: Command, context: CliContext): void {
  withEngineOptions(key.command('add <tenant> <name>').description('a new key; its secret is shown once'))
    .option('--scope <scope>', 'send, read or manage; may be given several times (send and read)', several)
    .option('--network <cidr>', networkProse, several)
    .option('--expires <time>', 'when it ends, such as 2027-01-31T12:00:00Z')
    .action(async (tenant: string, name: string, flags: NewKeyFlags) => {
      const body = {
        name,
        scopes: flags.scope ?? ['send', 'read'],
        networks: flags.network ?? [],
        expires_at: flags.expires ?? null,
      }
      const request = { method: 'POST', path: pathOf(tenant, 'keys'), body } as const
      await tell<KeyWire & { readonly secret: string }>(context, flags, request, (made) =>
        [
          context.style('bold', made.secret),
          onceSaid,
          printable(
            `Key ${JSON.stringify(made.name)} may ${made.scopes.join(', ')}${from(made.networks)}; id ${made.id}.`,
          ),
        ].join('\n'),
      )
    })
  withEngineOptions(key.command('list <tenant>').description('all of them, revoked ones too')).action(
    async (tenant: string, flags: EngineFlags) => {
      const request = { path: pathOf(tenant, 'keys') }
      await tell<{ readonly keys: readonly KeyWire[] }>(context, flags, request, ({ keys }) =>
        describeKeys(context, keys, tenant),
      )
    },
  )
  withEngineOptions(
    key.command('revoke <tenant> <id>').description('it opens nothing from the moment that this returns'),
  ).action(async (tenant: string, id: string, flags: EngineFlags) => {
    const request = { method: 'DELETE', path: pathOf(tenant, 'keys', id) } as const
    await tell<KeyWire>(context, flags, request, (gone) =>
      printable(`Key ${JSON.stringify(gone.name)} is revoked since ${gone.revoked_at}.`),
    )
  })
}

function describeKeys(context: CliContext, keys: readonly KeyWire[], tenant: string): string {
  if (keys.length === 0) return printable(`There is no key yet. Make one: posthaste key add ${tenant} main`)
  const titles = ['ID', 'NAME', 'ENDS IN', 'MAY', 'FROM', 'CREATED', 'STATE'].map((title) => ({ title }))
  const rows = keys.map((key) => [
    key.id,
    key.name,
    key.last_four,
    key.scopes.join(', '),
    key.networks.join(', ') || 'anywhere',
    key.created_at,
    key.revoked_at === null ? (key.expires_at === null ? 'in use' : `until ${key.expires_at}`) : 'revoked',
  ])
  return table(context, titles, rows)
}

function registerLogin(login: Command, context: CliContext): void {
  withEngineOptions(login.command('add <tenant> [user]').description('a new login; its password is shown once'))
    .option('--network <cidr>', networkProse, several)
    .action(async (tenant: string, user: string | undefined, flags: NewLoginFlags) => {
      const body = { ...(user === undefined ? {} : { user }), networks: flags.network ?? [] }
      const request = { method: 'POST', path: pathOf(tenant, 'logins'), body } as const
      await tell<LoginWire & { readonly password: string }>(context, flags, request, (made) =>
        [
          `user      ${context.style('bold', made.user)}`,
          `password  ${context.style('bold', made.password)}`,
          `The password is shown now and never again: keep it where your program finds it.`,
          `Good${from(made.networks) || ' from anywhere'}; id ${made.id}.`,
        ].join('\n'),
      )
    })
  withEngineOptions(login.command('list <tenant>').description('all of them, revoked ones too')).action(
    async (tenant: string, flags: EngineFlags) => {
      const request = { path: pathOf(tenant, 'logins') }
      await tell<{ readonly logins: readonly LoginWire[] }>(context, flags, request, ({ logins }) =>
        describeLogins(context, logins, tenant),
      )
    },
  )
  withEngineOptions(
    login.command('revoke <tenant> <user>').description('by its user or id; it opens nothing from then on'),
  ).action(async (tenant: string, user: string, flags: EngineFlags) => {
    const request = { method: 'DELETE', path: pathOf(tenant, 'logins', user) } as const
    await tell<LoginWire>(context, flags, request, (gone) => `Login ${gone.user} is revoked since ${gone.revoked_at}.`)
  })
}

function describeLogins(context: CliContext, logins: readonly LoginWire[], tenant: string): string {
  if (logins.length === 0) return printable(`There is no login yet. Make one: posthaste login add ${tenant}`)
  const titles = ['USER', 'ID', 'ENDS IN', 'FROM', 'CREATED', 'STATE'].map((title) => ({ title }))
  const rows = logins.map((login) => [
    login.user,
    login.id,
    login.last_four,
    login.networks.join(', ') || 'anywhere',
    login.created_at,
    login.revoked_at === null ? 'in use' : 'revoked',
  ])
  return table(context, titles, rows)
}

const from = (networks: readonly string[]): string => (networks.length === 0 ? '' : ` from ${networks.join(', ')}`)
