/** Who is measured: Postfix, tuned as well as we know how, and Posthaste as `posthaste start` runs it. */
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../test/support/engine.ts'
import { startPostfix } from '../../test/support/postfix.ts'
import { until } from '../../test/support/wait.ts'
import { type Sections, startEngine } from './engine.ts'
import type { Setting } from './options.ts'
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
        // More than the most sessions of a usual matrix: at its limit smtpd would go into its overload mode.
        default_process_limit: '400',
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

export interface EnginePeerOptions {
  readonly signing: Signing
  readonly settings: readonly Setting[]
  /** Options of Node. */
  readonly nodeOptions?: readonly string[]
}

export function enginePeer({ signing, ...options }: EnginePeerOptions): Peer {
  return {
    name: signing === 'none' ? 'posthaste' : `posthaste-${signing}`,
    async start({ directory, port, sinkPort, prefix }) {
      const checkPort = await freePort()
      const config = { ...relaying(sinkPort, checkPort), ...signingKey(directory, signing) }
      const engine = await startEngine({ directory, port, prefix, config, ...options })
      try {
        await proveSigning(directory, { port, checkPort, signatures: signing === 'none' ? 0 : 1 })
      } catch (error) {
        await engine.stop()
        throw new Error(`the first message failed; the engine said:\n${engine.log()}`, { cause: error })
      }
      return engine
    },
  }
}

/** Postfix reuses a connection for 300 s however many messages that is, so our default of 100 is lifted too. */
function relaying(sinkPort: number, checkPort: number): Sections {
  return {
    delivery: { messages_per_connection: 1_000_000 },
    routes: [
      { domain: 'check.example.net', host: '127.0.0.1', port: checkPort, tls: 'never' },
      { domain: '*', host: '127.0.0.1', port: sinkPort, tls: 'never' },
    ],
  }
}

function signingKey(directory: string, signing: Signing): Sections {
  if (signing === 'none') return {}
  const file = join(directory, 'dkim.pem')
  const { privateKey } =
    signing === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('rsa', { modulusLength: 2048 })
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  return { dkim: [{ domain: 'example.com', selector: 'bench', private_key_file: file }] }
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
