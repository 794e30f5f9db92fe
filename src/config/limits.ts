/** Bounds of the configuration file itself. */
import { limit } from '../kernel/limits.ts'
import { KiB, MiB } from '../kernel/units.ts'

const owner = 'config'

export const fileBytesMax = limit({
  name: 'config.file',
  value: 4 * MiB,
  unit: 'bytes',
  owner,
  why: 'Ten thousand tenants of 400 bytes.',
  breach: 'exit code 78',
})

export const secretFileBytesMax = limit({
  name: 'config.secret-file',
  value: 256 * KiB,
  unit: 'bytes',
  owner,
  why: 'Keys, passwords and certificates. A chain of ten RSA-4096 certificates is 20 KB.',
  breach: 'exit code 78',
})

export const listEntriesMax = limit({
  name: 'config.list',
  value: 10_000,
  unit: 'entries',
  owner,
  why: 'Tenants, logins, networks, keys, routes: the file is read and checked as a whole before anything starts.',
  breach: 'exit code 78',
})

export const lineCharactersMax = limit({
  name: 'config.line',
  value: 255,
  unit: 'characters',
  owner,
  why: 'User names: RFC 4616 §2 allows 255 octets each.',
  breach: 'exit code 78',
})
