/** The admin API over a real directory, with a DNS and an outbox on paper. */
import { request } from 'node:http'
import type { TestContext } from 'node:test'
import { type AdminServer, createAdminServer, createDirectoryView, type EngineView } from '../../src/admin/admin.ts'
import type { TenantConfig } from '../../src/config/compiled.ts'
import { seededRandom } from '../../src/kernel/random.ts'
import type { Failure } from '../../src/model/failures.ts'
import type { TextAnswer } from '../../src/ports/dns.ts'
import type { OutgoingMail } from '../../src/ports/outbox.ts'
import { type DirectoryRig, directoryRig } from './directory-rig.ts'
import { engineView } from './fake-engine-view.ts'

export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  // biome-ignore lint/suspicious/noExplicitAny: whatever the API answers; the test looks into it
  readonly body: any
}

export interface AdminRig extends DirectoryRig {
  readonly server: AdminServer
  /** TXT records by name; a name that is not there does not exist. */
  readonly txt: Map<string, readonly string[] | TextAnswer | (() => Promise<TextAnswer>)>
  readonly mailed: OutgoingMail[]
  /** What the outbox says next; null: it takes the mail. */
  outbox: { failure: Failure | null }
  readonly errors: Error[]
  /** `path` behind /api/v1/admin. A body that is a string is sent as it is. */
  readonly call: (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Answered>
}

export async function adminRig(
  t: TestContext,
  options: {
    publicUrl?: string | null
    token?: string | null
    fileTenants?: readonly TenantConfig[]
    sandboxCredentials?: EngineView['sandboxCredentials']
  } = {},
): Promise<AdminRig> {
  const rig = await directoryRig(t, options.fileTenants)
  const txt: AdminRig['txt'] = new Map()
  const mailed: OutgoingMail[] = []
  const errors: Error[] = []
  const outbox: AdminRig['outbox'] = { failure: null }
  const { sandboxCredentials } = options
  const directory = createDirectoryView({
    directory: rig.directory,
    quotaRows: rig.quotaRows,
    dns: {
      txt: async (name) => {
        const known = txt.get(name)
        if (known === undefined) return { kind: 'no-domain' }
        if (typeof known === 'function') return await known()
        return 'kind' in known ? known : { kind: 'txt', records: known, ttlMs: 60_000 }
      },
    },
    outbox: {
      send: async (mail) => {
        if (outbox.failure === null) mailed.push(mail)
        return outbox.failure
      },
    },
    clock: rig.clock,
    random: seededRandom(3),
    hostname: 'mail.example.com',
    publicUrl: options.publicUrl === undefined ? 'https://mail-api.example.com' : options.publicUrl,
  })
  const engine = engineView({ directory, ...(sandboxCredentials === undefined ? {} : { sandboxCredentials }) })
  const onError = (error: Error): void => void errors.push(error)
  const server = createAdminServer(engine, { address: '127.0.0.1', port: 0, token: options.token ?? null, onError })
  await server.start()
  t.after(() => server.stop())
  const call: AdminRig['call'] = (method, path, body, headers = {}) => callServer(server, method, path, body, headers)
  return { ...rig, server, txt, mailed, outbox, errors, call }
}

function callServer(
  server: AdminServer,
  method: string,
  path: string,
  body: unknown,
  headers: Record<string, string>,
): Promise<Answered> {
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
  const type = text === undefined ? {} : { 'content-type': 'application/json' }
  const { address, port } = server.address
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: address, port, method, path: `/api/v1/admin${path}`, headers: { ...type, ...headers }, agent: false },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString()
          const status = response.statusCode ?? 0
          resolve({ status, headers: response.headers, body: answer === '' ? null : JSON.parse(answer) })
        })
      },
    )
    sent.on('error', reject)
    sent.end(text)
  })
}
