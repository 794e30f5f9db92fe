/**
 * Every option there is: one schema per section of the file, each option with unit, default, prose and bounds. The reference
 * (docs/configuration.md) is printed from these; `compile.ts` turns what was read into `compiled.ts`.
 */
import { dayMs, GiB, hourMs, KiB, MiB, minuteMs, secondMs } from '../kernel/units.ts'
import {
  boolean,
  bytes,
  choice,
  duration,
  integer,
  integerOr,
  list,
  path,
  ratio,
  secret,
  section,
  text,
  type Static,
} from './options.ts'

const port = 'TCP port; 0 lets the system choose a free one.'

const listener = section('One address and port that is listened on.', {
  address: text('address', {
    description: 'IP address to listen on. `0.0.0.0` is every IPv4 address, `::` every IPv6 and IPv4 address.',
    default: '0.0.0.0',
    sandboxDefault: '127.0.0.1',
  }),
  port: integer({ description: port, maximum: 65_535 }),
  tls: choice(['offered', 'implicit', 'none'], {
    description:
      '`offered`: STARTTLS (ports 25 and 587), left out while no certificate is configured. `implicit`: TLS from the first byte (port 465, RFC 8314 §3.3). `none`: plain text only.',
    default: 'offered',
  }),
})

const smtp = section('Accepting mail by SMTP.', {
  listeners: list(listener, {
    description: 'Where clients connect.',
    default: [{ port: 25 }],
    sandboxDefault: [{ port: 2525 }],
    minimum: 1,
    maximum: 64,
  }),
  message_size_max: bytes({
    description: 'Largest message, as told to clients by SIZE (RFC 1870); beyond it: 552 5.3.4.',
    default: '50MiB',
    minimum: 64 * KiB,
    maximum: GiB,
  }),
  recipients_max: integer({
    description: 'Recipients of one message; beyond it: 452 4.5.3. RFC 5321 §4.5.3.1.8 asks for at least 100.',
    default: 1_000,
    minimum: 100,
    maximum: 1_000,
  }),
  connections_max: integer({
    description: 'Open client connections; beyond it: 421. Each needs a file descriptor (LimitNOFILE).',
    default: 10_000,
    minimum: 1,
    maximum: 1_000_000,
  }),
  connections_per_address_max: integer({
    description: 'Open connections of one client address; beyond it: 421.',
    default: 500,
    sandboxDefault: 10_000,
    minimum: 1,
    maximum: 1_000_000,
  }),
  idle_timeout: duration({
    description:
      'Longest wait for a whole command, or for content to make progress. RFC 5321 §4.5.3.2.7 asks for at least 5 minutes.',
    default: '5m',
    minimum: secondMs,
    maximum: hourMs,
  }),
  content_rate_min: bytes({
    description:
      'Slowest content that is put up with, per second, averaged; a slower client holds a session for nothing.',
    default: '512B',
    minimum: 1,
    maximum: MiB,
  }),
  auth_without_tls_on_loopback: boolean({
    description: 'Lets clients on 127.0.0.0/8 and ::1 log in without TLS. Everyone else needs TLS first (RFC 4954 §4).',
    default: false,
    sandboxDefault: true,
  }),
})

const httpListener = section('One address and port of the sending API.', {
  address: text('address', {
    description: 'IP address to listen on. Without TLS, for other machines than this one put a TLS proxy in front.',
    default: '127.0.0.1',
  }),
  port: integer({ description: port, maximum: 65_535 }),
  tls: choice(['none', 'implicit'], {
    description: '`implicit`: HTTPS, with the certificate of `tls`. `none`: plain HTTP.',
    default: 'none',
  }),
})

const http = section('The sending API: accepting mail by HTTP, and asking what became of it.', {
  listeners: list(httpListener, {
    description: 'Where applications connect. An empty list: there is no API.',
    default: [{ port: 8081 }],
    maximum: 64,
  }),
  body_size_max: bytes({
    description:
      'Largest body of a request, after it was decompressed; beyond it: 413. Attachments in base64 take a third more.',
    default: '25MiB',
    minimum: 64 * KiB,
    maximum: 256 * MiB,
  }),
  connections_max: integer({
    description:
      'Open connections of applications; beyond it they are closed. Each needs a file descriptor (LimitNOFILE).',
    default: 10_000,
    minimum: 1,
    maximum: 1_000_000,
  }),
  request_timeout: duration({
    description: 'Longest time for a whole request to arrive; beyond it: 408.',
    default: '60s',
    minimum: secondMs,
    maximum: hourMs,
  }),
  public_url: text('line', {
    description:
      'How people reach the API from outside, such as `https://mail-api.example.com`: links in mail that Posthaste writes itself begin with it.',
    default: null,
    sandboxDefault: 'http://127.0.0.1:8081',
    defaultText: 'none; then senders cannot be verified by a mailed link',
  }),
})

const store = section(
  'The message store: what became of every message, for the API, the command line and idempotency keys.',
  {
    enabled: boolean({
      description:
        'Keep it. Without it nobody can ask for a message, and `http.listeners` must be empty, because keys of idempotency are looked up in it.',
      default: true,
    }),
    retention: duration({
      description: 'How long messages can be asked for. Whole days of UTC are dropped, the oldest first.',
      default: '30d',
      minimum: dayMs,
      maximum: 3650 * dayMs,
    }),
    size_max: bytes({
      description:
        'The oldest days are dropped when the store takes more, but never today and yesterday. About 1 KiB per message with one recipient.',
      default: '20GiB',
      minimum: 64 * MiB,
      maximum: 1024 * GiB,
    }),
  },
)

const accounting = section(
  'The accounting log: one JSON line in a file for everything that happens to a message, for people and log shippers.',
  {
    enabled: boolean({
      description: 'Write it. Beside it stands refused.json: what was refused at the door.',
      default: true,
    }),
    directory: path({
      description: 'Where acct.json is. It may be on a disk of its own: mail never waits for it.',
      default: null,
      defaultText: '`<data_directory>/accounting`',
    }),
    rotate_size: bytes({
      description: 'A file of this size is renamed, and a new one begun.',
      default: '100MiB',
      minimum: 64 * KiB,
      maximum: 16 * GiB,
    }),
    rotate_every: duration({
      description: 'So is one that is older; `1d` is at midnight, UTC.',
      default: '1d',
      minimum: minuteMs,
      maximum: 366 * dayMs,
    }),
    retention: duration({
      description: 'Rotated files are removed when they are older.',
      default: '30d',
      minimum: hourMs,
      maximum: 3650 * dayMs,
    }),
    size_max: bytes({
      description:
        'The oldest rotated files are removed when all files together take more. Compressed, a million messages take about 150 MB.',
      default: '10GiB',
      minimum: MiB,
      maximum: 1024 * GiB,
    }),
    compress: boolean({
      description: 'Rotated files are compressed with gzip, in the background.',
      default: true,
    }),
    behind_max: bytes({
      description:
        'While this file cannot be written, its lines stay in the logs of the spool, which cannot be used again. Beyond so many bytes of them lines are given up, with an alarm.',
      default: '4GiB',
      minimum: 64 * MiB,
      maximum: 1024 * GiB,
    }),
  },
)

const tls = section('Certificate for STARTTLS and implicit TLS. Both files, or neither: then TLS is not offered.', {
  certificate_file: path({
    description: 'PEM file: the certificate, followed by its intermediates.',
    default: null,
    defaultText: 'none',
  }),
  private_key_file: path({
    description: 'PEM file with its private key, not encrypted. Must not be readable by everyone.',
    default: null,
    defaultText: 'none',
  }),
})

const login = section('One name and password for SMTP AUTH.', {
  user: text('line', { description: 'Login name; unique among all tenants.', maximum: 255 }),
  password_file: path({
    description: 'File that holds the password. Must not be readable by everyone.',
    default: null,
    defaultText: 'none',
  }),
  password: secret({
    description: 'The password from the environment: `${env:NAME}`.',
    default: null,
    defaultText: 'none',
  }),
})

const tenant = section('Somebody who may send. A client that is no tenant’s is refused.', {
  name: text('name', { description: 'Short name for logs, events and quotas.' }),
  networks: list(text('network', { description: 'A network in CIDR form, or one address.' }), {
    description:
      'Networks whose clients are this tenant without a password; the most specific one wins. Never a /0: that is an open relay.',
    default: [],
  }),
  logins: list(login, { description: 'Names and passwords that are this tenant from anywhere.', default: [] }),
})

const dkim = section(
  'A DKIM key (RFC 6376). A domain may have an RSA and an Ed25519 key: then mail is signed twice (RFC 8463 §3).',
  {
    domain: text('domain', { description: 'Domain of the From header that it signs for, and `d=`.' }),
    selector: text('selector', { description: '`s=`: the public key is in DNS at `<selector>._domainkey.<domain>`.' }),
    private_key_file: path({
      description:
        'PEM file (PKCS#8 or PKCS#1): RSA of at least 2048 bits, or Ed25519. Must not be readable by everyone.',
      default: null,
      defaultText: 'none',
    }),
    private_key: secret({
      description: 'The same PEM text from the environment: `${env:NAME}`.',
      default: null,
      defaultText: 'none',
    }),
  },
)

const deliveryTls = ['opportunistic', 'verified', 'never'] as const
const deliveryTlsProse =
  '`opportunistic`: STARTTLS when offered, whatever the certificate (RFC 7435). `verified`: a certificate that verifies for the host’s name, or no delivery. `never`: plain text.'

const route = section('A fixed next hop, instead of the domain’s mail exchangers.', {
  domain: text('routeDomain', {
    description:
      'Recipient domain: `example.com`, `*.example.com` for its children, or `*` for everything. The exact one wins, then the longest, then `*`.',
  }),
  host: text('host', {
    description: 'Host name or IP address. A name is resolved to its addresses, not to its exchangers.',
  }),
  port: integer({ description: 'TCP port of the next hop.', default: 25, minimum: 1, maximum: 65_535 }),
  tls: choice(deliveryTls, { description: deliveryTlsProse, default: 'opportunistic' }),
  user: text('line', { description: 'Name for AUTH at the next hop.', default: null, defaultText: 'none' }),
  password_file: path({
    description: 'File that holds its password. Must not be readable by everyone.',
    default: null,
    defaultText: 'none',
  }),
  password: secret({
    description: 'Its password from the environment: `${env:NAME}`.',
    default: null,
    defaultText: 'none',
  }),
})

const delivery = section('Delivering mail by SMTP.', {
  ehlo_name: text('hostname', {
    description: 'Name given in EHLO. It should resolve to the sending address, and that address back to it.',
    default: null,
    defaultText: '`hostname`',
  }),
  connections_per_site: integer({
    description: 'Open connections to one site (the hosts that share one set of mail exchangers).',
    default: 20,
    minimum: 1,
    maximum: 10_000,
  }),
  connections_max: integer({
    description: 'Open connections to all sites together.',
    default: 2_000,
    minimum: 1,
    maximum: 100_000,
  }),
  recipients_per_transaction: integer({
    description:
      'Recipients of one message that share a transaction. A receiver that takes fewer at once (452 4.5.3) is given the others in the next ones, at once.',
    default: 100,
    minimum: 1,
    maximum: 100,
  }),
  messages_per_connection: integer({
    description: 'After so many messages a connection is closed, and another opened when there is more.',
    default: 100,
    minimum: 1,
    maximum: 1_000_000,
  }),
  idle_connection: duration({
    description: 'How long a connection with nothing to send is kept for the next message.',
    default: '10s',
    minimum: 0,
    maximum: 5 * minuteMs,
  }),
  tls: choice(deliveryTls, { description: `${deliveryTlsProse} Routes have their own.`, default: 'opportunistic' }),
  port: integer({
    description: 'Port of the receivers. Anything but 25 is for tests.',
    default: 25,
    minimum: 1,
    maximum: 65_535,
  }),
})

const retry = section('What happens to mail that a receiver put off.', {
  delays: list(duration({ description: 'A delay.', minimum: secondMs, maximum: 7 * dayMs }), {
    description: 'Wait before attempt 2, 3, …; the last one repeats.',
    default: ['1m', '5m', '15m', '1h'],
    sandboxDefault: ['5s', '15s', '1m', '5m'],
    minimum: 1,
    maximum: 100,
  }),
  jitter: ratio({
    description:
      'Each delay is spread evenly over ± this share of itself, so that mail put off together does not come back together.',
    default: 0.15,
    minimum: 0,
    maximum: 0.5,
  }),
  expire_after: duration({
    description:
      'Age at which undelivered mail is returned to its sender. RFC 5321 §4.5.4.1 asks for four to five days; senders want to know sooner. DKIM signatures are good for seven days.',
    default: '72h',
    minimum: secondMs,
    maximum: 6 * dayMs,
  }),
})

const notices = section(
  'Notices to the sender about what became of its mail: delivery status notifications (RFC 3461, 3464).',
  {
    enabled: boolean({
      description:
        'Send them. Without them a sender by SMTP does not hear of mail that was accepted and could not be delivered; RFC 5321 §6.1 asks for it.',
      default: true,
    }),
    from: text('mailbox', {
      description:
        'Address of their From field: somebody reads what is sent there. The return path of a notice is empty.',
      default: null,
      defaultText: '`postmaster@` and `hostname`',
    }),
    delay_after: duration({
      description:
        'Age at which the sender is told that a message is delayed, once, if it asked for that (NOTIFY=DELAY).',
      default: '4h',
      minimum: secondMs,
      maximum: 6 * dayMs,
    }),
    group_within: duration({
      description: 'Recipients of one message that fail within this time share a notice.',
      default: '1m',
      minimum: 0,
      maximum: hourMs,
    }),
    per_hour: integer({
      description:
        'Notices to one return path in an hour; beyond it none is sent, and the accounting log and the message store alone tell of the failure. So nobody is flooded by mail that somebody else sent in their name.',
      default: 100,
      minimum: 1,
      maximum: 1_000_000,
    }),
    return_full_max: bytes({
      description:
        'Largest message that goes back as a whole where the sender asked for that (RET=FULL); of a larger one the header goes back.',
      default: '1MiB',
      minimum: 0,
      maximum: 16 * MiB,
    }),
    suppressed: boolean({
      description:
        'Tell of recipients that got nothing because they are on the tenant’s suppression list, although the sender did not ask to be told of failures.',
      default: false,
    }),
  },
)

const dns = section('Looking up receivers.', {
  servers: list(text('dnsServer', { description: 'A resolver.' }), {
    description:
      'Resolvers as `address` or `address#port`, asked in order. Empty: those of /etc/resolv.conf. A resolver on this machine serves best.',
    default: [],
    maximum: 16,
  }),
  timeout: duration({ description: 'Longest wait for one answer.', default: '5s', minimum: 100, maximum: minuteMs }),
})

const spool = section('The log on disk that holds accepted mail.', {
  segment_size: bytes({
    description: 'Size of one segment file. Segments are made once and used again.',
    default: '64MiB',
    sandboxDefault: '16MiB',
    minimum: MiB,
    maximum: GiB,
  }),
  window_size: bytes({
    description:
      'Newest part of a log that is kept in memory, so that fresh mail is delivered without reading the disk.',
    default: '32MiB',
    // Twice the largest record: an envelope of 1,000 recipients with the references to 1 GiB of chunks.
    minimum: 4 * MiB,
    maximum: GiB,
  }),
  reserve: bytes({
    description:
      'Below this much free disk new mail is refused with 452 4.3.1; mail that was accepted goes on being delivered.',
    default: '1GiB',
    sandboxDefault: '64MiB',
    minimum: 0,
    maximum: 1024 * GiB,
  }),
  commit_delay: duration({
    description: 'Longest time that a commit waits for other sessions to share it. Alone, nobody waits.',
    default: '2ms',
    minimum: 0,
    maximum: secondMs,
  }),
  commit_size_max: bytes({
    description: 'A commit of this size does not wait any longer.',
    default: '1MiB',
    minimum: 4 * KiB,
    maximum: 16 * MiB,
  }),
  tenant_share: ratio({
    description:
      'How much of the disk one tenant may fill with mail that waits: of what waiting mail takes now and what is free above the reserve. A tenant beyond it hears 452 4.3.1; others do not notice.',
    default: 0.25,
    minimum: 0.001,
    maximum: 1,
  }),
  checkpoint_after: bytes({
    description:
      'The queue is written down whenever the logs have grown by this much, or by its own size if that is more. A restart reads the queue and what came after; segments behind it are used again.',
    default: '64MiB',
    minimum: 64 * KiB,
    maximum: 16 * 1024 * MiB,
  }),
})

const threads = section(
  'How the work is spread over cores. One thread decides about the queue and one writes the disk; these are beside them. A layout is taken at the start.',
  {
    intake: integerOr('auto', {
      description:
        'Threads that accept mail, each with a log of its own. 0: the scheduler’s thread does it. `auto`: a quarter of the cores, at least 1; 0 on two cores or fewer, and never more than 1 where the system is not Linux. The kernel spreads connections over them, so `smtp.connections_max` and `smtp.connections_per_address_max` are divided among them, rounded up; failed logins are counted by each.',
      default: 'auto',
      maximum: 16,
    }),
    deliver: integerOr('auto', {
      description:
        'Threads that sign and deliver. 0: the scheduler’s thread does it. `auto`: the cores that are left beside intake, scheduler and log, 1 … 8; 0 on two cores or fewer. `delivery.connections_max` is divided among them, rounded up.',
      default: 'auto',
      maximum: 32,
    }),
  },
)

const management = section('Admin API, console, metrics and health checks.', {
  address: text('address', {
    description: 'IP address to listen on. It speaks plain HTTP: for other machines put a TLS proxy in front.',
    default: '127.0.0.1',
  }),
  port: integer({ description: port, default: 8080, maximum: 65_535 }),
  token_file: path({
    description: 'File that holds the bearer token. Must not be readable by everyone.',
    default: null,
    defaultText: 'generated into `<data_directory>/admin-token`; none in the sandbox on loopback',
  }),
  token: secret({
    description: 'The bearer token from the environment: `${env:NAME}`.',
    default: null,
    defaultText: 'none',
  }),
})

const log = section('What the program says while it runs; JSON lines on standard error.', {
  level: choice(['error', 'warn', 'info', 'debug'], {
    description: 'Least important lines that are written.',
    default: 'info',
  }),
})

export const fileSchema = section('The whole file.', {
  hostname: text('hostname', {
    description:
      'Our full name in greeting, EHLO, Received and Message-ID. Its address should resolve back to it: receivers check.',
    sandboxDefault: 'sandbox.localhost',
  }),
  data_directory: path({
    description: 'Where spool, tokens and stores are. Only the engine’s user may write here.',
    default: '/var/lib/posthaste',
    sandboxDefault: 'data',
  }),
  sandbox: boolean({
    description:
      'No way out: every message is captured and shown, and sockets open to loopback only. Changes some defaults, as noted.',
    default: false,
    sandboxDefault: true,
  }),
  smtp,
  http,
  store,
  accounting,
  tls,
  tenants: list(tenant, {
    description: 'Who may send.',
    default: [],
    sandboxDefault: [{ name: 'sandbox', networks: ['127.0.0.0/8', '::1/128'] }],
  }),
  dkim: list(dkim, { description: 'Signing keys.', default: [] }),
  routes: list(route, { description: 'Fixed next hops.', default: [] }),
  delivery,
  retry,
  notices,
  dns,
  spool,
  threads,
  management,
  log,
})

/** The file once read: defaults filled in, units resolved, secrets from the environment in place, files not yet opened. */
export type FileValues = Static<typeof fileSchema>
