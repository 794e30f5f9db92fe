/** Our engine with its HTTP API: a tenant, its key and its domain are made as an operator makes them, by the command line, and proven in a DNS of ours. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../test/support/engine.ts'
import { type FakeDns, startFakeDns } from '../../test/support/fake-dns.ts'
import { acceptsConnections, until } from '../../test/support/wait.ts'
import { senderDomain } from './email-request.ts'
import { type EngineWorld, type EngineWorldOptions, withEngine } from './engine-world.ts'

export interface HttpWorld extends EngineWorld {
  readonly httpPort: number
  /** Of a tenant that may send as `senderDomain`. */
  readonly key: string
}

const listenMsMax = 15_000
const commandMsMax = 30_000
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export async function withHttpEngine<Result>(
  options: EngineWorldOptions,
  use: (world: HttpWorld) => Promise<Result>,
): Promise<Result> {
  const dns = await startFakeDns({})
  const httpPort = await freePort()
  const http = { listeners: [{ address: '127.0.0.1', port: httpPort }] }
  const config = { http, dns: { servers: [dns.server] }, ...options.config }
  try {
    return await withEngine({ ...options, config }, async (world) => {
      await until(listenMsMax, `the engine did not listen for HTTP on port ${httpPort}`, () =>
        acceptsConnections(httpPort),
      )
      const key = await makeTenant(join(options.directory, 'posthaste.yaml'), dns)
      return use({ ...world, httpPort, key })
    })
  } finally {
    await dns.close()
  }
}

/** Only the record that proves the domain is published, so that nothing is signed: what a signature costs is the relay benchmark's. */
async function makeTenant(configFile: string, dns: FakeDns): Promise<string> {
  const tenant = 'shop'
  await command(configFile, ['tenant', 'add', tenant])
  const { records } = (await command(configFile, ['domain', 'add', tenant, senderDomain])) as Domain
  const proof = records.find(({ purpose }) => purpose === 'ownership')
  if (proof === undefined) throw new Error(`no record proves ${senderDomain}: ${JSON.stringify(records)}`)
  dns.zone.set(proof.name, { TXT: [proof.value] })
  await command(configFile, ['domain', 'verify', tenant, senderDomain])
  const { secret } = (await command(configFile, ['key', 'add', tenant, 'bench'])) as { readonly secret: string }
  return secret
}

interface Domain {
  readonly records: readonly { readonly purpose: string; readonly name: string; readonly value: string }[]
}

/** What it says as JSON. */
async function command(configFile: string, words: readonly string[]): Promise<unknown> {
  const told = ['--json', '--config', configFile]
  const child = spawn(process.execPath, [main, ...words, ...told], { stdio: ['ignore', 'pipe', 'pipe'] })
  const killer = setTimeout(() => child.kill('SIGKILL'), commandMsMax)
  let [output, complaint] = ['', '']
  child.stdout.on('data', (text: Buffer) => (output += text.toString()))
  child.stderr.on('data', (text: Buffer) => (complaint += text.toString()))
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  clearTimeout(killer)
  if (exitCode !== 0) throw new Error(`posthaste ${words.join(' ')} ended with ${exitCode}:\n${complaint}${output}`)
  return JSON.parse(output)
}
