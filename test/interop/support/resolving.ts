/** Runs programs that use the system's resolver against DNS records of our choice, by giving them a world of their own. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FakeZone } from '../../support/fake-dns.ts'

export interface Finished {
  readonly exitCode: number
  readonly output: string
}

const withDns = fileURLToPath(new URL('with-dns.ts', import.meta.url))
/** A new network namespace has nothing, not even loopback; the bind mount is seen in this mount namespace only. */
const enter = 'ip link set lo up && mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'

/** `command` with `input` on its standard input; the records of `zone` are all the DNS there is. Needs root. */
export async function runResolving(zone: FakeZone, command: readonly string[], input: Buffer): Promise<Finished> {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-dns-'))
  try {
    const zoneFile = join(directory, 'zone.json')
    const resolvConf = join(directory, 'resolv.conf')
    writeFileSync(zoneFile, JSON.stringify(zone))
    writeFileSync(resolvConf, 'nameserver 127.0.0.1\noptions timeout:2 attempts:1\n')
    const inside = ['sh', '-c', enter, 'sh', resolvConf, process.execPath, withDns, zoneFile, ...command]
    return await finished('unshare', ['--net', '--mount', ...inside], input)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Both streams in one text, as somebody at a terminal would see it. */
export function finished(command: string, commandArguments: readonly string[], input: Buffer): Promise<Finished> {
  const child = spawn(command, commandArguments, { stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  // A program that does not read all of its input is judged by its exit code.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ exitCode: code ?? 1, output }))
  })
}
