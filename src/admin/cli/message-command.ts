/** `posthaste message show ID`: where a message is, and every attempt that was made for it. */
import type { Command } from 'commander'
import { formatBytes, formatDuration } from '../../kernel/units.ts'
import type { AttemptView, MessageView, RecipientView } from '../view.ts'
import { printable, type CliContext } from './context.ts'
import { ask, withEngineOptions, type EngineFlags } from './engine-client.ts'

export function registerMessage(program: Command, context: CliContext): void {
  const message = program.command('message').description('ask about a message')
  withEngineOptions(message.command('show <id>').description('where it is, and every attempt made for it')).action(
    async (id: string, flags: EngineFlags) => {
      const view = await ask<MessageView>(context, flags, `/api/v1/admin/messages/${encodeURIComponent(id)}`)
      if (view !== null) context.print(describeMessage(context, view))
    },
  )
}

function describeMessage(context: CliContext, message: MessageView): string {
  const from = message.from === '' ? '<> (a notice)' : message.from
  return [
    context.style('bold', `Message ${message.id}`),
    printable(
      `From ${from}, subject "${message.subject}", tenant ${message.tenant}, ${formatBytes(message.sizeBytes)}, accepted ${message.acceptedAt} from ${message.client}.`,
    ),
    ...message.recipients.flatMap((recipient) => ['', ...describeRecipient(context, recipient)]),
  ].join('\n')
}

const styles = {
  queued: 'yellow',
  deferred: 'yellow',
  delivered: 'green',
  bounced: 'red',
  expired: 'red',
  suppressed: 'red',
} as const

function describeRecipient(context: CliContext, recipient: RecipientView): string[] {
  const next = recipient.nextAttemptAt === null ? '' : `; next attempt ${recipient.nextAttemptAt}`
  const twice = recipient.mayBeDuplicate ? '; may have arrived twice' : ''
  const state = context.style(styles[recipient.state], recipient.state.replace('_', ' '))
  const attempts =
    recipient.attempts.length === 0
      ? ['  no attempt yet']
      : recipient.attempts.map((attempt, i) => describeAttempt(attempt, i + 1))
  return [`${printable(recipient.address)}: ${state}${next}${twice}`, ...attempts]
}

function describeAttempt(attempt: AttemptView, number: number): string {
  const reply = attempt.code === 0 ? attempt.text : `${attempt.code} ${attempt.enhanced} ${attempt.text}`
  const where =
    attempt.host === '' ? '' : ` by ${attempt.host} [${attempt.address}]${attempt.tls === '' ? '' : `, ${attempt.tls}`}`
  const how = `${attempt.outcome} at ${attempt.stage}${where}, ${formatDuration(Math.max(0, Math.round(attempt.finishedMs)))}`
  return printable(`  ${number}. ${attempt.startedAt}  ${how}\n     ${reply}`)
}
