/** Who is measured: Postfix, tuned as well as we know how, and Posthaste as `posthaste start` runs it. */
import { spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, createWriteStream, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startPostfix } from '../../test/support/postfix.ts'
import { acceptsConnections, until } from '../../test/support/wait.ts'
import { freePort } from './machine.ts'
import { runSource, startSink } from './smtp-tools.ts'

export type Signing = 'none' | 'rsa' | 'ed25519'

export interface Place {
  readonly directory: string
  readonly port: number
  readonly sinkPort: number
  /** Starts the peer's command in its control group. */
  readonly prefix: readonly string[]
}

export interface RunningPeer {
  readonly port: number
  stop(): Promise<void>
}

export interface Peer {
  readonly name: string
  start(place: Place): Promise<RunningPeer>
}

export const postfixPeer: Peer = {
  name: 'postfix',
  start: ({ directory, port, sinkPort, prefix }) =>
    startPostfix({
      directory,
      port,
      prefix,
      settings: {
        relayhost: `[127.0.0.1]:${sinkPort}`,
        smtpd_peername_lookup: 'no',
        smtp_dns_support_level: 'disabled',
        default_process_limit: '200',
        // Best of 5 … 100 for a receiver that answers at once.
        initial_destination_concurrency: '20',
        smtp_destination_concurrency_limit: '20',
        in_flow_delay: '0',
        qmgr_message_active_limit: '100000',
        qmgr_message_recipient_limit: '100000',
        smtpd_client_connection_count_limit: '0',
      },
    }),
}

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
/** Draining takes at most 30 s (README). */
const stopMsMax = 40_000

export function enginePeer(signing: Signing): Peer {
  const name = signing === 'none' ? 'posthaste' : `posthaste-${signing}`
  return {
    name,
    async start({ directory, port, sinkPort, prefix }) {
      const checkPort = await freePort()
      const configFile = writeConfig(directory, {
        port,
        sinkPort,
        checkPort,
        signing,
        managementPort: await freePort(),
      })
      const log = createWriteStream(join(directory, 'engine.log'))
      const [command, ...commandArguments] = [...prefix, process.execPath, main, 'start', '--config', configFile]
      const engine = spawn(command, commandArguments, { stdio: ['ignore', 'pipe', 'pipe'] })
      engine.stdout.pipe(log, { end: false })
      engine.stderr.pipe(log, { end: false })
      const ended = new Promise<void>((resolve) => engine.once('exit', () => resolve()))
      const stop = async (): Promise<void> => {
        engine.kill('SIGTERM')
        const killer = setTimeout(() => engine.kill('SIGKILL'), stopMsMax)
        await ended
        clearTimeout(killer)
        log.end()
      }
      try {
        await until(30_000, `Posthaste did not answer on port ${port}`, () => {
          if (engine.exitCode !== null)
            throw new Error(
              `Posthaste ended with ${engine.exitCode}: ${readFileSync(join(directory, 'engine.log'), 'utf8')}`,
            )
          return acceptsConnections(port)
        })
        await proveSigning(directory, { port, checkPort, signatures: signing === 'none' ? 0 : 1 })
      } catch (error) {
        await stop()
        throw error
      }
      return { port, stop }
    },
  }
}

interface EngineConfig {
  readonly port: number
  readonly sinkPort: number
  readonly checkPort: number
  readonly managementPort: number
  readonly signing: Signing
}

/** Defaults wherever the benchmark does not need otherwise. */
function writeConfig(directory: string, { port, sinkPort, checkPort, managementPort, signing }: EngineConfig): string {
  const file = join(directory, 'posthaste.yaml')
  const keyFile = join(directory, 'dkim.pem')
  const { privateKey } =
    signing === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('rsa', { modulusLength: 2048 })
  writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  const dkim =
    signing === 'none' ? '' : `dkim:\n  - { domain: example.com, selector: bench, private_key_file: ${keyFile} }\n`
  writeFileSync(
    file,
    `hostname: posthaste.test
data_directory: ${join(directory, 'data')}
smtp:
  listeners: [{ address: 127.0.0.1, port: ${port}, tls: none }]
tenants: [{ name: bench, networks: [127.0.0.0/8] }]
routes:
  - { domain: check.example.net, host: 127.0.0.1, port: ${checkPort}, tls: never }
  - { domain: "*", host: 127.0.0.1, port: ${sinkPort}, tls: never }
management: { address: 127.0.0.1, port: ${managementPort} }
log: { level: warn }
${dkim}`,
  )
  return file
}

/** One message to a sink that keeps it, so that "signed" is seen and not believed; it also warms the engine's code. */
async function proveSigning(
  directory: string,
  { port, checkPort, signatures }: { port: number; checkPort: number; signatures: number },
): Promise<void> {
  const kept = join(directory, 'kept')
  mkdirSync(kept)
  chmodSync(kept, 0o777)
  const sink = await startSink(checkPort, ['-d', join(kept, 'message.')])
  try {
    await runSource({ port, messages: 1, bytes: 1_000, sessions: 1, to: 'ben@check.example.net' })
    await until(30_000, 'the first message was not delivered', () => sink.received() === 1)
    const message = readdirSync(kept)
      .map((name) => readFileSync(join(kept, name), 'utf8'))
      .join('')
    const found = message.match(/^DKIM-Signature:/gim)?.length ?? 0
    if (found !== signatures) throw new Error(`the delivered message has ${found} DKIM signatures, not ${signatures}`)
  } finally {
    await sink.stop()
  }
}
