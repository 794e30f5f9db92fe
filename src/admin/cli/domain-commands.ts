/** `posthaste domain …`: what a tenant may send as, and what its DNS should say. */
import type { Command } from 'commander'
import type { DomainReportWire, DomainWire } from '../directory-wire.ts'
import { printable, type CliContext } from './context.ts'
import { tell, withEngineOptions, type EngineFlags, type EngineRequest } from './engine-client.ts'
import { table } from './table.ts'
import { pathOf } from './tenant-path.ts'

interface AddFlags extends EngineFlags {
  readonly subdomains?: boolean
}

const exitUnverified = 1

export function registerDomain(program: Command, context: CliContext): void {
  const domain = program.command('domain').description('domains that a tenant sends as, and their DNS records')
  /** `tenant` as it was typed, for the command to type next. */
  const report = async (tenant: string, flags: EngineFlags, request: EngineRequest): Promise<DomainReportWire> =>
    await tell<DomainReportWire>(context, flags, request, (answer) => describeReport(context, answer, tenant))

  withEngineOptions(domain.command('add <tenant> <domain>').description('claim one; prints the records to publish'))
    .option('--subdomains', 'names below it too')
    .action(async (tenant: string, name: string, flags: AddFlags) => {
      const body = { domain: name, subdomains: flags.subdomains === true }
      await report(tenant, flags, { method: 'POST', path: pathOf(tenant, 'domains'), body })
    })
  withEngineOptions(domain.command('list <tenant>').description('all of them')).action(
    async (tenant: string, flags: EngineFlags) => {
      const request = { path: pathOf(tenant, 'domains') }
      await tell<{ readonly domains: readonly DomainWire[] }>(context, flags, request, ({ domains }) =>
        describeDomains(context, domains, tenant),
      )
    },
  )
  withEngineOptions(
    domain.command('show <tenant> <domain>').description('its DNS records, and whether the world sees them'),
  ).action(
    async (tenant: string, name: string, flags: EngineFlags) =>
      void (await report(tenant, flags, { path: pathOf(tenant, 'domains', name) })),
  )
  withEngineOptions(
    domain
      .command('verify <tenant> <domain>')
      .description('ask the DNS; what is proven counts from then on. Exit code 1 when the domain is not verified'),
  ).action(async (tenant: string, name: string, flags: EngineFlags) => {
    const { verified } = await report(tenant, flags, {
      method: 'POST',
      path: pathOf(tenant, 'domains', name, 'verify'),
    })
    if (!verified) context.exitCode = exitUnverified
  })
  withEngineOptions(
    domain
      .command('rotate-key <tenant> <domain>')
      .description('a new DKIM key; the old one signs until the new one’s record was verified'),
  ).action(
    async (tenant: string, name: string, flags: EngineFlags) =>
      void (await report(tenant, flags, { method: 'POST', path: pathOf(tenant, 'domains', name, 'rotate-key') })),
  )
  withEngineOptions(
    domain.command('remove <tenant> <domain>').description('nothing is sent as it from then on; its keys are gone'),
  ).action(async (tenant: string, name: string, flags: EngineFlags) => {
    const request = { method: 'DELETE', path: pathOf(tenant, 'domains', name) } as const
    await tell<DomainWire>(context, flags, request, (gone) => `Domain ${gone.domain} is removed.`)
  })
}

function describeDomains(context: CliContext, domains: readonly DomainWire[], tenant: string): string {
  if (domains.length === 0)
    return printable(`There is no domain yet. Claim one: posthaste domain add ${tenant} example.com`)
  const titles = ['DOMAIN', 'ID', 'SUBDOMAINS', 'VERIFIED', 'DKIM'].map((title) => ({ title }))
  const rows = domains.map((domain) => [
    domain.domain,
    domain.id,
    domain.subdomains ? 'yes' : 'no',
    domain.verified_at ?? 'no',
    domain.dkim_keys.find(({ state }) => state === 'signs')?.selector ?? 'does not sign yet',
  ])
  return table(context, titles, rows)
}

const styles = { found: 'green', missing: 'red', differs: 'red', unknown: 'yellow' } as const

function describeReport(context: CliContext, domain: DomainReportWire, tenant: string): string {
  const verified = domain.verified
    ? context.style('green', `verified since ${domain.verified_at}`)
    : context.style('red', 'NOT VERIFIED')
  const parts = [`${context.style('bold', domain.domain)}${domain.subdomains ? ' with subdomains' : ''}: ${verified}`]
  for (const record of domain.records) {
    const state = context.style(styles[record.state], record.state)
    const hint = record.needed ? '' : ' (a suggestion)'
    parts.push(
      [
        '',
        `${titles[record.purpose]}${hint}: ${state}${record.note === '' ? '' : `; ${record.note}`}`,
        `  name   ${record.name}`,
        `  type   ${record.type}`,
        `  value  ${record.value}`,
        ...(record.state === 'differs' ? record.found.map((text) => `  there  ${printable(text)}`) : []),
      ].join('\n'),
    )
  }
  for (const { selector, retired_at: retiredAt } of domain.dkim_keys) {
    if (retiredAt === null) continue
    parts.push(`\nThe record of the key ${selector} may leave the DNS a week after ${retiredAt}.`)
  }
  if (domain.records.some(({ needed, state }) => needed && state !== 'found'))
    parts.push(printable(`\nWhen they are published: posthaste domain verify ${tenant} ${domain.domain}`))
  return parts.join('\n')
}

const titles = {
  ownership: 'Proof that the domain is yours',
  dkim: 'DKIM: mail is signed once this is there',
  spf: 'SPF: who may send',
  dmarc: 'DMARC: what receivers do with forgeries',
} as const
