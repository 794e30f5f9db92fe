/** STARTTLS (RFC 3207). Input behind it never gets here: it would be plain text that claims to have come through TLS. */
import type { Session } from '../session.ts'

export function starttls(session: Session, args: string): void {
  if (args !== '') session.bad('501 5.5.4 STARTTLS takes no argument')
  else if (session.secure) session.bad('503 5.5.1 TLS is already active')
  else if (!session.tlsAvailable) session.bad('502 5.5.1 STARTTLS is not offered')
  else if (session.hello === '') session.bad('503 5.5.1 send EHLO first')
  else if (session.message !== null) session.bad('503 5.5.1 a message is open')
  else session.startTls()
}
