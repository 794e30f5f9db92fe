/** How to send a first mail in the sandbox, ready to paste: for whoever starts it, and for `posthaste sandbox credentials`. */
import type { SandboxCredentials } from './view.ts'

type Place = NonNullable<SandboxCredentials['smtp']>

const where = ({ address, port }: Place): string => `${address.includes(':') ? `[${address}]` : address}:${port}`

/** Our secrets are letters, digits and underscores: no shell sees anything in them. */
export function credentialLines({ tenant, key, user, password, smtp, http }: SandboxCredentials): string[] {
  const lines = [`tenant    ${tenant}`, `API key   ${key}`, `user      ${user}`, `password  ${password}`]
  if (http !== null) {
    const mail = '{"from":"me@example.com","to":["you@example.net"],"subject":"Hello","text":"It works."}'
    lines.push(
      '',
      'by HTTP:',
      `  curl -sS http://${where(http)}/api/v1/emails -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json' -d '${mail}'`,
    )
  }
  if (smtp !== null) {
    lines.push(
      '',
      'by SMTP, with swaks or with nodemailer:',
      `  swaks --server ${where(smtp)} --auth PLAIN --auth-user ${user} --auth-password ${password} --from me@example.com --to you@example.net`,
      `  nodemailer.createTransport({ host: '${smtp.address}', port: ${smtp.port}, auth: { user: '${user}', pass: '${password}' } })`,
    )
  }
  return lines
}
