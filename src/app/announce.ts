/** What a person sees at the start: that it is ready, where to send, where to look. Scripts wait for the line that begins with "ready". */
import { credentialLines, type SandboxCredentials } from '../admin/admin.ts'
import type { Config } from '../config/config.ts'
import { formatBytes } from '../kernel/units.ts'
import type { RecoveryReport } from '../spool/spool.ts'

interface Place {
  readonly address: string
  readonly port: number
}

const where = ({ address, port }: Place): string => `${address.includes(':') ? `[${address}]` : address}:${port}`

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

export function announce(facts: {
  config: Config
  version: string
  engine: {
    readonly addresses: readonly Place[]
    readonly httpAddresses: readonly Place[]
    readonly recovery: RecoveryReport | null
  }
  management: Place
  tokenInUse: boolean
  /** In the sandbox. */
  credentials: SandboxCredentials | null
}): void {
  const { config, engine } = facts
  const { recovery, addresses: smtp, httpAddresses: http } = engine
  const lines = [
    `Posthaste ${facts.version}${config.sandbox ? ', sandbox: no mail leaves this machine' : ` as ${config.hostname}`}`,
  ]
  if (recovery !== null && recovery.pendingRecipients + recovery.records > 0) {
    lines.push(
      `  recovered      ${counted(recovery.pendingRecipients, 'recipient')} still to be delivered to; ${counted(recovery.records, 'record')} read${recovery.checkpoint === 0 ? '' : ` after checkpoint ${recovery.checkpoint}`}`,
    )
  }
  if (recovery !== null && recovery.tornBytes > 0)
    lines.push(`  cut off        ${formatBytes(recovery.tornBytes)} that were never acknowledged`)
  if (
    recovery !== null &&
    (recovery.damagedBytes > 0 ||
      recovery.damagedSubmissions.length > 0 ||
      recovery.recipientsWithoutSegment > 0 ||
      recovery.quarantined.length > 0)
  ) {
    lines.push(
      `  DAMAGE         ${formatBytes(recovery.damagedBytes)} of the spool are damaged: run \`posthaste spool fsck\``,
    )
  }
  lines.push(`  send mail to   ${smtp.map(where).join(', ')} by SMTP`)
  if (http.length > 0) {
    const urls = http.map(
      (place, i) => `http${config.http.listeners[i]?.tls === 'implicit' ? 's' : ''}://${where(place)}`,
    )
    lines.push(`  sending API    ${urls.join(', ')} (its reference is at /reference)`)
  }
  lines.push(`  management     http://${where(facts.management)}${facts.tokenInUse ? ' (with the admin token)' : ''}`)
  lines.push(`  data           ${config.dataDirectory}`)
  if (facts.credentials !== null) {
    lines.push('', ...credentialLines(facts.credentials).map((line) => (line === '' ? '' : `  ${line}`)), '')
    lines.push('  then      posthaste sandbox list     (from a clone: npm run -s posthaste -- sandbox list)')
  }
  process.stdout.write(`${lines.join('\n')}\nready\n`)
}
