/** A scenario: the real program in a folder of its own, and what people do with it. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Receiver, type ReceiverOptions, type ReceiverScript, startReceiver } from '../../src/sandbox/sandbox.ts'
import { type Ended, launch, type Posthaste } from './posthaste.ts'
import { SmtpClient } from './smtp-client.ts'
import { until } from './wait.ts'

export function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'posthaste-scenario-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Starts the program and waits for "ready"; the test's end kills what is left of it. */
async function start(t: TestContext, args: readonly string[], logTo: number | 'pipe' = 'pipe'): Promise<Posthaste> {
  const program = launch(['start', ...args], {}, logTo)
  t.after(() => program.kill())
  await program.ready
  return program
}

/** A sandbox on free ports; `config` is YAML beyond that. */
export async function startSandbox(t: TestContext, directory: string, config = ''): Promise<Posthaste> {
  return start(t, ['--config', sandboxConfig(directory, config)])
}

/** Named always, because without it the program would read the one of the machine where there is one. */
export function sandboxConfig(directory: string, config = ''): string {
  return configFile(directory, `sandbox: true\n${freePorts}${config}`)
}

/** As in production, with everything routed to a receiver of the test's, or by `routes` in YAML. */
export async function startRelay(
  t: TestContext,
  options: {
    readonly directory: string
    readonly receiver?: Pick<Receiver, 'port'>
    readonly routes?: string
    readonly config?: string
    /** A descriptor. */
    readonly logTo?: number
  },
): Promise<Posthaste> {
  const { directory, config = '' } = options
  const routes = options.routes ?? ` [{ domain: '*', host: 127.0.0.1, port: ${options.receiver?.port} }]`
  const production = `hostname: mail.example.org
${freePorts}tenants: [{ name: tests, networks: [127.0.0.0/8] }]
routes:${routes}
`
  return start(t, ['--config', configFile(directory, production + config)], options.logTo)
}

const freePorts = `smtp: { listeners: [{ address: 127.0.0.1, port: 0, tls: none }] }
http: { listeners: [{ port: 0 }] }
management: { address: 127.0.0.1, port: 0 }
`

function configFile(directory: string, yaml: string): string {
  const path = join(directory, 'posthaste.yaml')
  writeFileSync(path, `data_directory: ${join(directory, 'data')}\n${yaml}`)
  return path
}

export async function receiver(t: TestContext, script: ReceiverScript, options?: ReceiverOptions): Promise<Receiver> {
  const started = await startReceiver(script, options)
  t.after(() => started.close())
  return started
}

/** `posthaste ARGS` to its end. */
export function posthaste(...args: readonly string[]): Promise<Ended> {
  return launch(args).ended
}

/** The JSON that a command on a running program prints. */
export async function asked<T>(program: Posthaste, ...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await posthaste(
    ...args,
    '--json',
    '--management-port',
    String(program.managementPort),
  )
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout.toString('utf8')) as T
}

/** What commands on the running program print, as an operator types them. */
export function operator(program: Posthaste, directory: string): (...args: readonly string[]) => Promise<string> {
  const where = ['--config', join(directory, 'posthaste.yaml'), '--management-port', String(program.managementPort)]
  return async (...args) => {
    const { code, stdout, stderr } = await posthaste(...args, ...where)
    assert.equal(code, 0, stderr)
    return stdout.toString()
  }
}

export function letter(subject: string, body = 'hello\r\n'): string {
  return `From: me@example.com\r\nSubject: ${subject}\r\n\r\n${body}`
}

/** Hands over one message; the id that the program gave it. */
export async function send(
  program: Pick<Posthaste, 'smtpPort'>,
  mail: {
    /** "ben@example.net", or "ben@example.net NOTIFY=NEVER". */
    readonly to: readonly string[]
    /** "ann@example.com", or "ann@example.com RET=FULL". */
    readonly from?: string
    readonly content?: string | Buffer
  },
): Promise<string> {
  const { to, from = 'me@example.com', content = letter('hello') } = mail
  const client = await SmtpClient.hello(program.smtpPort)
  client.send(`MAIL FROM:${bracketed(from)}\r\n${to.map((one) => `RCPT TO:${bracketed(one)}\r\n`).join('')}DATA\r\n`)
  for (let replies = to.length + 1; replies > 0; replies--) assert.equal((await client.reply()).code, 250)
  assert.equal((await client.reply()).code, 354)
  client.send(content)
  client.send('.\r\n')
  const reply = await client.reply()
  assert.equal(reply.code, 250, reply.lines.join('\n'))
  client.destroy()
  return /accepted as (\S+)/.exec(reply.text)?.[1] ?? assert.fail(`no id in ${reply.text}`)
}

/** In angle brackets, and its parameters behind it. */
function bracketed(given: string): string {
  const [address = '', ...parameters] = given.split(' ')
  return [`<${address}>`, ...parameters].join(' ')
}

export interface RecipientState {
  readonly address: string
  readonly state: string
  readonly attempts: readonly { readonly outcome: string; readonly code: number; readonly text: string }[]
  readonly may_be_duplicate: boolean
}

/** Outside the sandbox the program makes one at its first start. */
export function managementToken(directory: string): string {
  return readFileSync(join(directory, 'data/admin-token'), 'utf8').trim()
}

/** What the management API knows of a message; cheaper than a process when asked again and again. */
async function message(program: Posthaste, id: string, directory?: string): Promise<RecipientState[]> {
  const url = `http://127.0.0.1:${program.managementPort}/api/v1/admin/messages/${id}`
  const token = directory === undefined ? null : managementToken(directory)
  const answer = await fetch(url, token === null ? {} : { headers: { authorization: `Bearer ${token}` } })
  return ((await answer.json()) as { recipients: RecipientState[] }).recipients
}

const isEnd = (state: string): boolean => ['delivered', 'bounced', 'expired', 'suppressed'].includes(state)

/** Waits until every recipient of the message has come to its end. */
export async function settled(program: Posthaste, id: string, directory?: string): Promise<RecipientState[]> {
  let recipients: RecipientState[] = []
  await until(20_000, `${id} is not settled`, async () => {
    recipients = await message(program, id, directory)
    return recipients.every(({ state }) => isEnd(state))
  })
  return recipients
}
