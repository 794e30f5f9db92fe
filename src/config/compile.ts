/**
 * What was read → the configuration as the program uses it. Opens the secret files, and checks what only shows when options
 * are seen together. A part that already has a problem is skipped, so that each mistake is told once.
 */
import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import { join } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { dayMs } from '../kernel/units.ts'
import type {
  AccountingConfig,
  Config,
  DkimKeyConfig,
  HttpConfig,
  ListenerConfig,
  RouteConfig,
  TenantConfig,
  TlsConfig,
} from './compiled.ts'
import { readPublicFile, readSecretFile } from './files.ts'
import { checkCertificate, checkDkimKey } from './keys.ts'
import type { Reader } from './read.ts'
import type { FileValues } from './schema.ts'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Meaningful only when the reader has no problems afterwards. */
export function compile(values: FileValues, reader: Reader, clock: Clock): Config {
  const tls = compileTls(values, reader, clock)
  const { smtp, delivery, retry, notices, dns, spool, management } = values
  const config: Mutable<Config> = {
    file: reader.source.file,
    sandbox: values.sandbox,
    hostname: values.hostname,
    dataDirectory: values.data_directory,
    smtp: {
      listeners: compileListeners(values, reader, tls),
      messageBytesMax: smtp.message_size_max,
      recipientsMax: smtp.recipients_max,
      connectionsMax: smtp.connections_max,
      connectionsPerAddressMax: smtp.connections_per_address_max,
      idleMsMax: smtp.idle_timeout,
      contentBytesPerSecondMin: smtp.content_rate_min,
      authWithoutTlsOnLoopback: smtp.auth_without_tls_on_loopback,
    },
    http: compileHttp(values, reader, tls),
    store: {
      enabled: values.store.enabled,
      retentionDays: Math.ceil(values.store.retention / dayMs),
      bytesMax: values.store.size_max,
    },
    accounting: compileAccounting(values, reader),
    tls,
    tenants: compileTenants(values, reader),
    dkim: compileDkim(values, reader),
    routes: compileRoutes(values, reader),
    delivery: {
      ehloName: delivery.ehlo_name ?? values.hostname,
      connectionsPerSite: delivery.connections_per_site,
      connectionsMax: delivery.connections_max,
      recipientsPerTransaction: delivery.recipients_per_transaction,
      messagesPerConnection: delivery.messages_per_connection,
      idleConnectionMs: delivery.idle_connection,
      tls: delivery.tls,
      port: delivery.port,
    },
    retry: { delaysMs: retry.delays, jitter: retry.jitter, expireAfterMs: retry.expire_after },
    notices: {
      enabled: notices.enabled,
      from: notices.from ?? `postmaster@${values.hostname}`,
      delayAfterMs: notices.delay_after,
      groupWithinMs: notices.group_within,
      perHourMax: notices.per_hour,
      returnFullBytesMax: notices.return_full_max,
      suppressed: notices.suppressed,
    },
    dns: { servers: dns.servers, timeoutMs: dns.timeout },
    spool: {
      segmentBytes: spool.segment_size,
      windowBytes: spool.window_size,
      reserveBytes: spool.reserve,
      commitDelayMs: spool.commit_delay,
      commitBytesMax: spool.commit_size_max,
      tenantShare: spool.tenant_share,
      checkpointAfterBytes: spool.checkpoint_after,
    },
    threads: values.threads,
    management: { address: management.address, port: management.port, token: compileToken(values, reader) },
    log: values.log,
  }
  return config
}

function compileAccounting(values: FileValues, reader: Reader): AccountingConfig {
  const { accounting } = values
  if (accounting.size_max < accounting.rotate_size)
    reader.problem('accounting.size_max', 'is less than rotate_size', 'Room for several files is needed.')
  return {
    enabled: accounting.enabled,
    directory: accountingDirectory(values),
    rotateBytes: accounting.rotate_size,
    rotateMs: accounting.rotate_every,
    keepMs: accounting.retention,
    keepBytes: accounting.size_max,
    compress: accounting.compress,
    behindBytesMax: accounting.behind_max,
  }
}

export function accountingDirectory(values: Pick<FileValues, 'accounting' | 'data_directory'>): string {
  return values.accounting.directory ?? join(values.data_directory ?? '', 'accounting')
}

function compileTls(values: FileValues, reader: Reader, clock: Clock): TlsConfig | null {
  const { certificate_file: certificateFile, private_key_file: keyFile } = values.tls
  if (!reader.sound('tls') || (certificateFile === null && keyFile === null)) return null
  if (certificateFile === null || keyFile === null) {
    const missing = certificateFile === null ? 'certificate_file' : 'private_key_file'
    reader.problem(`tls.${missing}`, 'is missing', 'TLS needs certificate_file and private_key_file.')
    return null
  }
  const certificate = readPublicFile(certificateFile)
  const key = readSecretFile(keyFile)
  if (!certificate.ok) reader.problem('tls.certificate_file', certificate.what, certificate.cure)
  if (!key.ok) reader.problem('tls.private_key_file', key.what, key.cure)
  if (!certificate.ok || !key.ok) return null
  const verdict = checkCertificate(certificate.text, key.text, values.hostname ?? '', clock.nowMs())
  const { certificate: wrongCertificate, key: wrongKey } = verdict
  if (wrongCertificate !== null)
    reader.problem('tls.certificate_file', `${certificateFile} ${wrongCertificate.what}`, wrongCertificate.cure)
  if (wrongKey !== null) reader.problem('tls.private_key_file', `${keyFile} ${wrongKey.what}`, wrongKey.cure)
  for (const warning of verdict.warnings) reader.warn('tls.certificate_file', warning)
  return { certificatePem: certificate.text, keyPem: key.text }
}

function compileListeners(values: FileValues, reader: Reader, tls: TlsConfig | null): ListenerConfig[] {
  const listeners: ListenerConfig[] = []
  if (!reader.sound('smtp.listeners')) return listeners
  const taken = new Map<string, string>()
  if (reader.sound('management')) claim(values.management, 'management', taken, reader)
  if (reader.sound('http.listeners'))
    for (const [index, listener] of values.http.listeners.entries())
      claim(listener, `http.listeners[${index}]`, taken, reader)
  for (const [index, listener] of values.smtp.listeners.entries()) {
    const key = `smtp.listeners[${index}]`
    claim(listener, key, taken, reader)
    if (listener.tls === 'implicit' && tls === null && reader.sound('tls')) {
      reader.problem(
        `${key}.tls`,
        'is implicit, but there is no certificate',
        'Set tls.certificate_file and tls.private_key_file, or remove this listener.',
      )
    }
    listeners.push({ ...listener, tls: listener.tls === 'offered' && tls === null ? 'none' : listener.tls })
  }
  if (
    tls === null &&
    !values.sandbox &&
    reader.sound('tls') &&
    values.smtp.listeners.some((listener) => listener.tls === 'offered')
  ) {
    reader.warn('tls', 'no certificate is configured, so STARTTLS is not offered and clients can log in from nowhere.')
  }
  return listeners
}

function compileHttp(values: FileValues, reader: Reader, tls: TlsConfig | null): HttpConfig {
  const { http, store } = values
  for (const [index, listener] of http.listeners.entries()) {
    if (listener.tls !== 'implicit' || tls !== null || !reader.sound('tls')) continue
    reader.problem(
      `http.listeners[${index}].tls`,
      'is implicit, but there is no certificate',
      'Set tls.certificate_file and tls.private_key_file, or remove this listener.',
    )
  }
  if (!store.enabled && http.listeners.length > 0)
    reader.problem(
      'store.enabled',
      'is false, but the API needs the store',
      'Write `http: {listeners: []}`, or keep the store.',
    )
  const publicUrl = http.public_url
  if (publicUrl !== null && !/^https?:\/\/[^\s/?#]+(\/[^\s?#]*)?$/.test(publicUrl))
    reader.problem('http.public_url', 'is no address of a web server', 'Write it like https://mail-api.example.com.')
  return {
    listeners: http.listeners,
    bodyBytesMax: http.body_size_max,
    connectionsMax: http.connections_max,
    requestMsMax: http.request_timeout,
    publicUrl: publicUrl?.replace(/\/+$/, '') ?? null,
  }
}

function claim(
  listener: { address: string; port: number },
  key: string,
  taken: Map<string, string>,
  reader: Reader,
): void {
  if (listener.port === 0) return
  const name = `${isIP(listener.address) === 6 ? `[${listener.address}]` : listener.address}:${listener.port}`
  const other = taken.get(name)
  if (other !== undefined)
    reader.problem(key, `${name} is used by ${other} too`, 'Give it a port or address of its own.')
  taken.set(name, key)
}

function compileTenants(values: FileValues, reader: Reader): TenantConfig[] {
  const tenants: TenantConfig[] = []
  if (values.tenants === undefined) return tenants
  const seen = { name: new Map<string, string>(), network: new Map<string, string>(), user: new Map<string, string>() }
  const unique = (kind: keyof typeof seen, value: string, key: string): void => {
    const other = seen[kind].get(value)
    if (other !== undefined)
      reader.problem(key, `${kind} ${value} is used by ${other} too`, 'Each belongs to one tenant, once.')
    seen[kind].set(value, key)
  }
  for (const [index, tenant] of values.tenants.entries()) {
    const key = `tenants[${index}]`
    if (!reader.sound(key)) continue
    unique('name', tenant.name, `${key}.name`)
    for (const [n, network] of tenant.networks.entries()) unique('network', network, `${key}.networks[${n}]`)
    const logins = tenant.logins.map((login, n) => {
      const loginKey = `${key}.logins[${n}]`
      unique('user', login.user, `${loginKey}.user`)
      const password = compileSecret(reader, loginKey, 'password', login.password, login.password_file) ?? ''
      if (password !== '' && password.length < 16) {
        reader.warn(
          loginKey,
          `the password of ${login.user} has fewer than 16 characters: it can be guessed. Use openssl rand -base64 24.`,
        )
      }
      return { user: login.user, passwordSha256: createHash('sha256').update(password).digest('hex') }
    })
    if (logins.length === 0 && tenant.networks.length === 0)
      reader.warn(key, `nobody can send as ${tenant.name}: it has neither networks nor logins.`)
    tenants.push({ name: tenant.name, networks: tenant.networks, logins })
  }
  if (values.tenants.length === 0) reader.warn('tenants', 'no tenant is configured, so nobody may send.')
  return tenants
}

function compileDkim(values: FileValues, reader: Reader): DkimKeyConfig[] {
  const keys: DkimKeyConfig[] = []
  const seen = new Set<string>()
  for (const [index, entry] of (values.dkim ?? []).entries()) {
    const key = `dkim[${index}]`
    if (!reader.sound(key)) continue
    const name = `${entry.selector}._domainkey.${entry.domain}`
    if (seen.has(name)) reader.problem(key, `${name} is given twice`, 'Give each key a selector of its own.')
    seen.add(name)
    const pem = compileSecret(reader, key, 'private_key', entry.private_key, entry.private_key_file)
    if (pem === null) continue
    const verdict = checkDkimKey(pem)
    if (verdict !== null) {
      const at = entry.private_key_file === null ? 'private_key' : 'private_key_file'
      reader.problem(`${key}.${at}`, `${entry.private_key_file ?? 'it'} ${verdict.what}`, verdict.cure)
    }
    keys.push({ domain: entry.domain, selector: entry.selector, privateKeyPem: pem })
  }
  return keys
}

function compileRoutes(values: FileValues, reader: Reader): RouteConfig[] {
  const routes: RouteConfig[] = []
  const seen = new Set<string>()
  for (const [index, route] of (values.routes ?? []).entries()) {
    const key = `routes[${index}]`
    if (!reader.sound(key)) continue
    if (seen.has(route.domain))
      reader.problem(`${key}.domain`, `${route.domain} has a route already`, 'Keep one of the two.')
    seen.add(route.domain)
    const { domain, host, port, tls } = route
    routes.push({ domain, host, port, tls, credentials: compileCredentials(route, key, reader) })
  }
  return routes
}

function compileCredentials(
  route: FileValues['routes'][number],
  key: string,
  reader: Reader,
): RouteConfig['credentials'] {
  if (route.user === null) {
    if (route.password !== null || route.password_file !== null)
      reader.problem(`${key}.user`, 'is missing', 'A password needs the name that it belongs to.')
    return null
  }
  if (route.tls !== 'verified' && !/^(127\.|::1$|localhost$)/.test(route.host)) {
    reader.warn(`${key}.tls`, `the password for ${route.host} can be stolen on the way. Use tls: verified.`)
  }
  const password = compileSecret(reader, key, 'password', route.password, route.password_file)
  return password === null ? null : { user: route.user, password }
}

function compileToken(values: FileValues, reader: Reader): string | null {
  const { token, token_file: tokenFile, address } = values.management
  if (!reader.sound('management')) return null
  if (!isLoopbackAddress(address)) {
    reader.warn(
      'management.address',
      `${address} is reached from other machines, and it speaks plain HTTP. Put a TLS proxy in front.`,
    )
  }
  return token === null && tokenFile === null ? null : compileSecret(reader, 'management', 'token', token, tokenFile)
}

/** Exactly one of the two must be given; the file's last line ending is not part of the secret. */
function compileSecret(
  reader: Reader,
  key: string,
  name: string,
  value: string | null,
  file: string | null,
): string | null {
  if (value !== null && file !== null) {
    reader.problem(`${key}.${name}`, `is given by ${name}_file too`, 'Keep one of the two.')
    return null
  }
  if (value !== null) return value
  if (file === null) {
    reader.problem(`${key}.${name}_file`, 'is missing', `Write ${name}_file: FILE, or ${name}: \${env:NAME}.`)
    return null
  }
  const read = readSecretFile(file)
  if (!read.ok) {
    reader.problem(`${key}.${name}_file`, read.what, read.cure)
    return null
  }
  const text = name === 'private_key' ? read.text : read.text.replace(/\r?\n$/, '')
  if (text === '') reader.problem(`${key}.${name}_file`, `${file} is empty`, 'Write the secret into it.')
  return text === '' ? null : text
}

/** Of an IP address as in the file. */
export function isLoopbackAddress(address: string): boolean {
  return address.startsWith('127.') || address === '::1'
}
