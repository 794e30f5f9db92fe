/** Secrets and certificates on disk: read once, checked for who else may read them, never named by content. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { formatBytes } from '../kernel/units.ts'
import { secretFileBytesMax } from './limits.ts'

export type FileText =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly what: string; readonly cure: string }

const othersMayReadOrWrite = constants.S_IROTH | constants.S_IWOTH

/** A file that may be public, such as a certificate. */
export function readPublicFile(path: string): FileText {
  return readFile(path, false)
}

/** Refused when everyone on the machine may read or change it. The file that was checked is the file that is read. */
export function readSecretFile(path: string): FileText {
  return readFile(path, true)
}

function readFile(path: string, secret: boolean): FileText {
  const bad = (what: string, cure: string): FileText => ({ ok: false, what, cure })
  let fd: number
  try {
    // Non-blocking: a named pipe would be waited for otherwise.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    return bad(`${path} cannot be opened: ${reasonOf(error)}`, cureOf(error))
  }
  try {
    const facts = fstatSync(fd)
    if (!facts.isFile()) return bad(`${path} is not a file`, 'Name a file.')
    if (secret && (facts.mode & othersMayReadOrWrite) !== 0) {
      const mode = (facts.mode & 0o777).toString(8).padStart(4, '0')
      return bad(
        `${path} is a secret that everyone on this machine may read or change (mode ${mode})`,
        `Run: chmod 0640 ${path} (Kubernetes: defaultMode: 0440), and replace the secret if it was exposed.`,
      )
    }
    if (facts.size > secretFileBytesMax.value)
      return bad(`${path} is larger than ${formatBytes(secretFileBytesMax.value)}`, 'Name the right file.')
    const buffer = Buffer.alloc(facts.size)
    const length = readSync(fd, buffer, 0, buffer.length, 0)
    return { ok: true, text: buffer.toString('utf8', 0, length) }
  } catch (error) {
    return bad(`${path} cannot be read: ${reasonOf(error)}`, cureOf(error))
  } finally {
    closeSync(fd)
  }
}

export function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied'
  if (code === 'EISDIR') return 'it is a directory'
  return code ?? String(error)
}

export function cureOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'EACCES' || code === 'EPERM') return 'Let the engine’s user read it: chgrp posthaste, chmod 0640.'
  return 'Create it, or correct the path.'
}
