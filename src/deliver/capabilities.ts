/** What a server offers in its reply to EHLO (RFC 5321 §4.1.1.1). Unknown keywords are ignored, repeated ones change nothing. */

export interface Capabilities {
  readonly pipelining: boolean
  readonly eightBitMime: boolean
  readonly smtpUtf8: boolean
  readonly dsn: boolean
  readonly startTls: boolean
  readonly size: boolean
  /** Largest message it takes; Infinity when it does not say, or says 0 (RFC 1870 §4). */
  readonly sizeMax: number
  readonly authPlain: boolean
  readonly authLogin: boolean
}

/** Of a server that only answers HELO, and of every server before its EHLO. */
export const noCapabilities: Capabilities = Object.freeze({
  pipelining: false,
  eightBitMime: false,
  smtpUtf8: false,
  dsn: false,
  startTls: false,
  size: false,
  sizeMax: Infinity,
  authPlain: false,
  authLogin: false,
})

/** @param lines text of the reply's lines; the first one is the server's name */
export function readCapabilities(lines: readonly string[]): Capabilities {
  const offered = new Map<string, string>()
  for (const line of lines.slice(1)) {
    // "AUTH=LOGIN PLAIN" is how servers wrote it before RFC 2554, some still do, often beside the right form.
    const [keyword = '', ...parameters] = line.toUpperCase().replace('=', ' ').trim().split(' ')
    offered.set(keyword, `${offered.get(keyword) ?? ''} ${parameters.join(' ')} `)
  }
  const auth = offered.get('AUTH') ?? ''
  return {
    pipelining: offered.has('PIPELINING'),
    eightBitMime: offered.has('8BITMIME'),
    smtpUtf8: offered.has('SMTPUTF8'),
    dsn: offered.has('DSN'),
    startTls: offered.has('STARTTLS'),
    size: offered.has('SIZE'),
    sizeMax: readSize(offered.get('SIZE') ?? ''),
    authPlain: auth.includes(' PLAIN '),
    authLogin: auth.includes(' LOGIN '),
  }
}

function readSize(parameters: string): number {
  const [first = ''] = parameters.trim().split(' ')
  const size = Number(first)
  return /^\d{1,20}$/.test(first) && size > 0 ? size : Infinity
}
