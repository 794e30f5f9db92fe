/** The bearer token of the management API when the file names none: made at the first start, kept in the data directory. */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { PosthasteError } from '../kernel/errors.ts'
import { systemRandom, type Random } from '../kernel/random.ts'
import { isLoopbackAddress } from './compile.ts'
import type { Config } from './compiled.ts'
import { readSecretFile, reasonOf } from './files.ts'

const tokenBytes = 24

/** Only the sandbox on loopback goes without a token. */
export function needsAdminToken(config: Config): boolean {
  return config.management.token === null && !(config.sandbox && isLoopbackAddress(config.management.address))
}

export const adminTokenPath = (dataDirectory: string): string => join(dataDirectory, 'admin-token')

/** The token of an earlier start, or a new one (mode 0600). Throws a PosthasteError when it can be neither read nor made. */
export function ensureAdminToken(dataDirectory: string, random: Random = systemRandom): string {
  const path = adminTokenPath(dataDirectory)
  const bytes = new Uint8Array(tokenBytes)
  // oxlint-disable-next-line no-array-fill-with-reference-type -- not an array's fill
  random.fill(bytes)
  const token = Buffer.from(bytes).toString('base64url')
  try {
    mkdirSync(dataDirectory, { recursive: true, mode: 0o700 })
    if (existsSync(path)) return readAdminToken(dataDirectory)
    // Whole or not at all: a process killed in between must not leave an empty token behind.
    const unfinished = `${path}.new`
    const fd = openSync(unfinished, 'w', 0o600)
    try {
      writeSync(fd, `${token}\n`)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(unfinished, path)
    return token
  } catch (error) {
    if (error instanceof PosthasteError) throw error
    throw new PosthasteError(
      'admin_token',
      `${path} cannot be written: ${reasonOf(error)}`,
      `Let the engine’s user write to ${dataDirectory}.`,
      {
        exitCode: 73,
        cause: error,
      },
    )
  }
}

/** The token that the engine made. Throws a PosthasteError when there is none or we may not read it. */
export function readAdminToken(dataDirectory: string): string {
  const path = adminTokenPath(dataDirectory)
  const read = readSecretFile(path)
  if (!read.ok) {
    throw new PosthasteError('admin_token', `the admin token cannot be used: ${read.what}`, adminTokenCure(read), {
      exitCode: 78,
    })
  }
  const token = read.text.trim()
  if (token === '') {
    throw new PosthasteError('admin_token', `${path} is empty`, 'Remove it and start the engine: a new one is made.', {
      exitCode: 78,
    })
  }
  return token
}

function adminTokenCure(read: { readonly what: string; readonly cure: string }): string {
  if (read.what.includes('no such file'))
    return 'The engine makes it when it first starts. Is --config or --data the one that it was started with?'
  return read.what.includes('permission denied') ? 'Run this as root or as the engine’s user.' : read.cure
}
