/** `posthaste suppression …`: to whom a tenant sends nothing. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { PosthasteError } from '../../kernel/errors.ts'
import { KiB } from '../../kernel/units.ts'
import type { SuppressionWire } from '../directory-wire.ts'
import { checkAddressFile, readAddressFile } from './address-file.ts'
import { printable, type CliContext } from './context.ts'
import { askRaw, tell, withEngineOptions, type EngineFlags } from './engine-client.ts'
import { count, table } from './table.ts'

interface ListFlags extends EngineFlags {
  readonly tenant?: string
  readonly reason?: string
  readonly prefix?: string
  readonly limit?: string
  readonly after?: string
}

interface ChangeFlags extends EngineFlags {
  readonly tenant?: string
  readonly file?: string
  readonly note?: string
}

const path = '/api/v1/admin/suppressions'

export function registerSuppression(program: Command, context: CliContext): void {
  const suppression = program.command('suppression').description('addresses that a tenant sends nothing to')
  registerList(suppression, context)
  withChangeOptions(
    suppression.command('add [addresses...]').description('nothing is sent there from the moment that this returns'),
  )
    .option('--note <text>', 'why; shown in the list')
    .action(async (addresses: readonly string[], flags: ChangeFlags) => {
      const body = flags.note === undefined ? {} : { detail: flags.note }
      let added = 0
      let known = 0
      await inBatches(context, flags, { path, body, addresses, done: 'added' }, (answer) => {
        const batch = answer as Added
        added += batch.added.length
        known += batch.known
      })
      if (flags.json === true) return
      const before = known === 0 ? '' : ` ${known === 1 ? '1 was' : `${count(known)} were`} on the list already.`
      context.print(`${addressesProse(added)} added.${before}`)
    })
  withChangeOptions(
    suppression.command('remove [addresses...]').description('mail is sent there again, until it bounces again'),
  ).action(async (addresses: readonly string[], flags: ChangeFlags) => {
    let removed = 0
    const unknown: string[] = []
    let unknownCount = 0
    const request = { path: `${path}/remove`, body: {}, addresses, done: 'removed' }
    await inBatches(context, flags, request, (answer) => {
      const batch = answer as Removed
      removed += batch.removed.length
      unknownCount += batch.unknown.length
      unknown.push(...batch.unknown.slice(0, unknownShown - unknown.length))
    })
    if (unknownCount > 0) context.exitCode = 1
    if (flags.json === true) return
    const more = unknownCount > unknown.length ? ` and ${count(unknownCount - unknown.length)} more` : ''
    const missed = unknownCount === 0 ? '' : printable(`\nNot on the list: ${unknown.join(', ')}${more}`)
    context.print(`${addressesProse(removed)} removed.${missed}`)
  })
}

interface Added {
  readonly added: readonly SuppressionWire[]
  readonly known: number
}

interface Removed {
  readonly removed: readonly SuppressionWire[]
  readonly unknown: readonly string[]
}

const unknownShown = 20

const addressesProse = (number: number): string => (number === 1 ? '1 address' : `${count(number)} addresses`)

function withChangeOptions(command: Command): Command {
  return withEngineOptions(command)
    .option('--tenant <tenant>', 'whose list; may be left out when there is one tenant only')
    .option('--file <file>', 'addresses in a file: one in a line, or in the first column of a CSV file')
}

interface Change {
  readonly path: string
  readonly body: Readonly<Record<string, unknown>>
  readonly addresses: readonly string[]
  /** What was done, for when it ends half way. */
  readonly done: string
}

/** So that a request is smaller than the admin API takes, whatever the addresses are. */
const batchAddresses = 1_000
const batchBytes = 48 * KiB

/** Each batch as a whole or not at all; when one is refused, those before it stay. */
async function inBatches(
  context: CliContext,
  flags: ChangeFlags,
  change: Change,
  take: (answer: unknown) => void,
): Promise<void> {
  const file = flags.file === undefined ? null : resolve(context.cwd, flags.file)
  const total = change.addresses.length + (file === null ? 0 : await checkAddressFile(file))
  if (total === 0)
    throw new PosthasteError('no_addresses', 'no address is named', 'Name some, or --file.', { exitCode: 64 })
  let batch: string[] = []
  let bytes = 0
  let sent = 0
  const send = async (): Promise<void> => {
    const tenant = flags.tenant === undefined ? {} : { tenant: flags.tenant }
    const body = { ...tenant, ...change.body, addresses: batch }
    const answer = await askRaw(context, flags, change.path, { method: 'POST', body }).catch((error: unknown) => {
      throw sent === 0 || !(error instanceof PosthasteError) ? error : halfWay(error, change.done, sent, total)
    })
    if (flags.json === true) context.print(answer.toString())
    take(JSON.parse(answer.toString()))
    const before = sent
    sent += batch.length
    batch = []
    bytes = 0
    // Long work shows that it goes on.
    if (Math.floor(before / progressEvery) < Math.floor(sent / progressEvery) && sent < total)
      context.stderr.write(`${count(sent)} of ${count(total)}\n`)
  }
  for await (const address of allOf(change.addresses, file)) {
    const length = Buffer.byteLength(JSON.stringify(address)) + 1
    if (batch.length > 0 && (batch.length === batchAddresses || bytes + length > batchBytes)) await send()
    batch.push(address)
    bytes += length
  }
  if (batch.length > 0) await send()
  if (sent === total) return
  const message = `${flags.file} is another now: ${count(sent)} of ${count(total)} addresses were ${change.done}`
  throw new PosthasteError('file_changed', message, 'Run the command again, and leave the file alone meanwhile.', {
    exitCode: 65,
  })
}

const progressEvery = 50_000

async function* allOf(addresses: readonly string[], file: string | null): AsyncGenerator<string> {
  yield* addresses
  if (file !== null) yield* readAddressFile(file)
}

function halfWay(error: PosthasteError, done: string, sent: number, total: number): PosthasteError {
  const { code, message, cure, exitCode } = error
  const what = `${message}; the first ${count(sent)} of ${count(total)} were ${done} before`
  return new PosthasteError(code, what, `${cure} Those that were ${done} may be named again.`, {
    exitCode,
    cause: error,
  })
}

function registerList(suppression: Command, context: CliContext): void {
  withEngineOptions(suppression.command('list').description('in the order of the alphabet'))
    .option('--tenant <tenant>', 'whose list; may be left out when there is one tenant only')
    .option('--reason <reason>', 'hard_bounce or manual')
    .option('--prefix <text>', 'only addresses that begin so')
    .option('--limit <n>', 'how many (1 to 500)')
    .option('--after <address>', 'only those behind this one')
    .action(async (flags: ListFlags) => {
      const query = new URLSearchParams()
      for (const name of ['tenant', 'reason', 'prefix', 'limit', 'after'] as const)
        if (flags[name] !== undefined) query.set(name, flags[name])
      const asked = query.size === 0 ? path : `${path}?${query.toString()}`
      await tell<Page>(context, flags, { path: asked }, (page) => describe(context, page))
    })
}

interface Page {
  readonly tenant: string
  readonly suppressions: readonly SuppressionWire[]
  readonly total: number
  readonly next: string | null
}

function describe(context: CliContext, { suppressions, total, next }: Page): string {
  if (total === 0) return 'Nobody is on the list.'
  if (suppressions.length === 0) return `Nobody like that is on the list, which has ${addressesProse(total)}.`
  const columns = ['ADDRESS', 'REASON', 'SINCE', 'BY', 'DETAIL'].map((title) => ({ title }))
  const rows = suppressions.map((one) => [one.address, one.reason, one.created_at, one.created_by, one.detail])
  const more = next === null ? '' : `; there is more: --after ${next}`
  return `${table(context, columns, rows)}\n${context.style('dim', printable(`${count(suppressions.length)} of ${count(total)}${more}`))}`
}
