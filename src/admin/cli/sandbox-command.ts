/** `posthaste sandbox list | show | raw`: the mail that the sandbox captured; `sandbox credentials`: what to send some with. */
import type { Command } from 'commander'
import { formatBytes } from '../../kernel/units.ts'
import { credentialLines } from '../sandbox-lines.ts'
import type { SandboxCredentials, SandboxMessage, SandboxPage } from '../view.ts'
import { printable, type CliContext } from './context.ts'
import { ask, askRaw, tell, withEngineOptions, type EngineFlags } from './engine-client.ts'
import { table } from './table.ts'

const path = '/api/v1/admin/sandbox/messages'

interface ListFlags extends EngineFlags {
  readonly limit?: string
  readonly before?: string
  readonly to?: string
}

export function registerSandbox(program: Command, context: CliContext): void {
  const sandbox = program
    .command('sandbox')
    .description('try it out: what to send with, and the mail that was captured')
  withEngineOptions(sandbox.command('credentials').description('a key and a login to send with, and how to')).action(
    async (flags: EngineFlags) => {
      const request = { path: '/api/v1/admin/sandbox/credentials' }
      await tell<SandboxCredentials>(context, flags, request, (answer) => credentialLines(answer).join('\n'))
    },
  )
  withEngineOptions(sandbox.command('list').description('newest first'))
    .option('--limit <n>', 'how many (1 to 500)')
    .option('--before <id>', 'only those captured before this one')
    .option('--to <address>', 'only those that this address received')
    .action(async (flags: ListFlags) => {
      const query = new URLSearchParams()
      for (const name of ['limit', 'before', 'to'] as const) if (flags[name] !== undefined) query.set(name, flags[name])
      const page = await ask<SandboxPage>(context, flags, query.size === 0 ? path : `${path}?${query.toString()}`)
      if (page !== null) context.print(describePage(context, page))
    })
  withEngineOptions(sandbox.command('show <id>').description('headers and text of one')).action(
    async (id: string, flags: EngineFlags) => {
      const message = await ask<SandboxMessage>(context, flags, `${path}/${encodeURIComponent(id)}`)
      if (message !== null) context.print(describeMessage(context, message))
    },
  )
  withEngineOptions(sandbox.command('raw <id>').description('the message as it was received, byte for byte')).action(
    async (id: string, flags: EngineFlags) => {
      context.stdout.write(await askRaw(context, flags, `${path}/${encodeURIComponent(id)}/raw`))
    },
  )
}

function describePage(context: CliContext, page: SandboxPage): string {
  if (page.messages.length === 0) return 'No mail was captured yet. Send some to the SMTP port of the sandbox (2525).'
  const columns = [
    { title: 'RECEIVED' },
    { title: 'ID' },
    { title: 'SIZE', align: 'right' },
    { title: 'FROM' },
    { title: 'TO' },
    { title: 'SUBJECT' },
  ] as const
  const rows = page.messages.map((message) => {
    const [first = '', ...others] = message.to
    const to = others.length === 0 ? first : `${first} and ${others.length} more`
    return [message.receivedAt, message.id, formatBytes(message.sizeBytes), message.from, to, message.subject]
  })
  const more = page.next === null ? '' : `\n${context.style('dim', `There is more: --before ${page.next}`)}`
  return `${table(context, columns, rows)}${more}`
}

function describeMessage(context: CliContext, message: SandboxMessage): string {
  const envelope = `From <${message.from}> to ${message.to.map((address) => `<${address}>`).join(', ')}, ${formatBytes(message.sizeBytes)}, ${message.receivedAt}`
  const headers = message.headers.map(
    ({ name, value }) => `${context.style('bold', printable(name))}: ${printable(value)}`,
  )
  return [
    context.style('dim', printable(envelope)),
    '',
    ...headers,
    '',
    printable((message.text ?? '(no readable text)').replaceAll('\r\n', '\n')),
  ].join('\n')
}
