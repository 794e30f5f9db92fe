/** Where mail for a domain goes: the hosts that share one mail exchanger set, and how to speak to them. */

export interface SiteHost {
  /** Host name, or an IP address for a static route. */
  readonly host: string
  readonly preference: number
}

export type TlsPolicy =
  /** Plain text only. */
  | 'never'
  /** STARTTLS when offered, certificate not judged; plain text when it fails (RFC 7435). */
  | 'opportunistic'
  /** STARTTLS with a certificate that verifies for the host's name, or no delivery. */
  | 'verified'

export interface Site {
  /** Dense number, an index for as long as the process lives. */
  readonly id: number
  /**
   * Stable name: the exchangers by preference, equal ones sorted and joined by "+", "mx1.example.net+mx2.example.net,backup.example.net:25";
   * or the route's own "[127.0.0.1]:2526", "user@[relay.example.net]:587/verified".
   */
  readonly name: string
  /** By rising preference. */
  readonly hosts: readonly SiteHost[]
  readonly port: number
  readonly tls: TlsPolicy
  readonly credentials: { readonly user: string; readonly password: string } | null
  /** The route is the operator's own word: private and loopback addresses are fine. */
  readonly trusted: boolean
  readonly connectionsMax: number
}
