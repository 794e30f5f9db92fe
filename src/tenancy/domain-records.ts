/**
 * The TXT records that a sending domain wants, and whether the DNS has them. Pure: somebody else asks.
 *
 *   _posthaste.example.com             whose it is; without it nothing is sent as this domain
 *   ph202611-k3fa._domainkey.example.com   a DKIM key (RFC 6376 §3.6); without it mail is not signed as this domain
 *   example.com                        SPF (RFC 7208): a suggestion, because other senders may be in it
 *   _dmarc.example.com                 DMARC (RFC 7489): a suggestion, because the policy is its owner's
 */
import type { SendingDomain } from '../ports/directory.ts'

export type RecordPurpose = 'ownership' | 'dkim' | 'spf' | 'dmarc'

/** differs: something of its kind is there, and it is not this. unknown: the DNS gave no answer. */
export type RecordState = 'found' | 'missing' | 'differs' | 'unknown'

export interface WantedRecord {
  readonly purpose: RecordPurpose
  readonly name: string
  readonly type: 'TXT'
  readonly value: string
  /** False: a suggestion. */
  readonly needed: boolean
  /** Of a DKIM key. */
  readonly keyId: string | null
}

export interface RecordFinding extends WantedRecord {
  readonly state: RecordState
  /** What stands there of its kind. */
  readonly found: readonly string[]
  /** What is wrong, or worth knowing; '' when nothing is. */
  readonly note: string
}

/** `hostname`: the machine whose address mail comes from. A key that another has followed is not wanted any more. */
export function wantedRecords(domain: SendingDomain, hostname: string): WantedRecord[] {
  const { record, keys } = domain
  return [
    { purpose: 'ownership', ...record, type: 'TXT', needed: true, keyId: null },
    ...keys
      .filter(({ retiredMs }) => retiredMs === null)
      .map((key): WantedRecord => ({ purpose: 'dkim', ...key.record, type: 'TXT', needed: true, keyId: key.id })),
    {
      purpose: 'spf',
      name: domain.domain,
      type: 'TXT',
      value: `v=spf1 a:${hostname.toLowerCase()} ~all`,
      needed: false,
      keyId: null,
    },
    {
      purpose: 'dmarc',
      name: `_dmarc.${domain.domain}`,
      type: 'TXT',
      value: 'v=DMARC1; p=none',
      needed: false,
      keyId: null,
    },
  ]
}

/** `texts`: of the TXT records at its name; null when the DNS gave no answer. */
export function judgeRecord(wanted: WantedRecord, texts: readonly string[] | null): RecordFinding {
  if (texts === null) return { ...wanted, state: 'unknown', found: [], note: 'the DNS gives no answer now' }
  const found = texts.map((text) => text.trim()).filter((text) => ofItsKind[wanted.purpose].test(text))
  if (found.length === 0) return { ...wanted, state: 'missing', found, note: '' }
  const note = judges[wanted.purpose](wanted, found)
  return { ...wanted, state: note === '' ? 'found' : 'differs', found, note }
}

/** Other records may stand at the same name, and say nothing of this. */
const ofItsKind: Readonly<Record<RecordPurpose, RegExp>> = {
  ownership: /^posthaste-verification=/,
  // RFC 6376 §3.6.1: whatever stands at such a name is meant as a key; v= may be left out.
  dkim: /^/,
  spf: /^v=spf1(?: |$)/i,
  dmarc: /^v=DMARC1\s*(?:;|$)/,
}

/** What is wrong with records of its kind; '' when nothing is. */
const judges: Readonly<Record<RecordPurpose, (wanted: WantedRecord, found: readonly string[]) => string>> = {
  ownership: ({ value }, found) => (found.includes(value) ? '' : 'this is the proof of another tenant'),
  dkim: ({ value }, found) => {
    // RFC 6376 §3.6.2.2: with several records the result is undefined.
    if (found.length > 1) return 'several records stand there: keep one'
    return publishesKey(found, value) ? '' : 'this is another key'
  },
  spf: ({ value }, found) => {
    // RFC 7208 §4.5: more than one is a permanent error.
    if (found.length > 1) return 'several SPF records make it invalid: join them into one'
    const mechanism = value.split(' ')[1] as string
    const terms = (found[0] as string).toLowerCase().split(/\s+/)
    return terms.some((term) => term.replace(/^\+/, '') === mechanism)
      ? ''
      : `it does not name this server by ${mechanism}: add that, unless another term covers its address`
  },
  // RFC 7489 §6.6.3: with several none counts.
  dmarc: (_, found) => (found.length > 1 ? 'several DMARC records make it invalid: keep one' : ''),
}

/** The one record there holds the same public key as `value` does. */
export function publishesKey(records: readonly string[], value: string): boolean {
  const [only, ...others] = records
  if (only === undefined || others.length > 0) return false
  const published = tags(only)
  // RFC 6376 §3.6.1: v= is DKIM1 if it is there at all, k= is rsa if it is not.
  const ours = (published.get('v') ?? 'DKIM1') === 'DKIM1' && (published.get('k') ?? 'rsa') === 'rsa'
  return ours && published.get('p') === tags(value).get('p')
}

/** RFC 6376 §3.2: tag=value, separated by semicolons; white space within a key means nothing. */
function tags(record: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const part of record.split(';')) {
    const equals = part.indexOf('=')
    if (equals > 0) found.set(part.slice(0, equals).trim(), part.slice(equals + 1).replaceAll(/\s/g, ''))
  }
  return found
}
