/** What the figures depend on: the machine's facts, and what a bare signature costs on it. */
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { closeSync, fdatasyncSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { median } from './report.ts'

/** From statfs(2); what a log is likely to live on. */
const fileSystems: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x01021994, 'tmpfs (not a disk: the figures say nothing about durability)'],
  [0x794c7630, 'overlayfs'],
])

export function machineFacts(directory: string): Record<string, string> {
  const fileSystem = statfsSync(directory).type
  return {
    date: new Date().toISOString(),
    cpu: `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: release(),
    'file system': fileSystems.get(fileSystem) ?? `0x${fileSystem.toString(16)}`,
    'write and fdatasync of 4 KiB': `${median(syncTimesMs(directory)).toFixed(2)} ms (median of 200)`,
    node: process.version,
    postfix: postfixVersion(),
  }
}

function postfixVersion(): string {
  const { error, stdout } = spawnSync('postconf', ['-dh', 'mail_version'], { encoding: 'utf8' })
  return error === undefined ? stdout.trim() : 'not installed'
}

function syncTimesMs(directory: string): number[] {
  const path = join(directory, 'sync-test')
  const file = openSync(path, 'w')
  const block = Buffer.alloc(4096, 1)
  const times = Array.from({ length: 200 }, () => {
    const startedMs = performance.now()
    writeSync(file, block, 0, block.length, 0)
    fdatasyncSync(file)
    return performance.now() - startedMs
  })
  closeSync(file)
  rmSync(path)
  return times
}

/** CPU time of signing a DKIM-sized header hash input with a 2,048-bit RSA or an Ed25519 key, median of five hundreds. */
export function signatureCpuMs(kind: 'rsa' | 'ed25519'): number {
  const { privateKey } =
    kind === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519')
  const header = randomBytes(800)
  const hundred = (): number => {
    const before = process.cpuUsage()
    for (let i = 0; i < 100; i++) sign(kind === 'rsa' ? 'sha256' : null, header, privateKey)
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1_000 / 100
  }
  hundred()
  return median(Array.from({ length: 5 }, hundred))
}
