/** Bounds of the management listener and of the command that asks it. */
import { limit } from '../kernel/limits.ts'
import { KiB, MiB, secondMs } from '../kernel/units.ts'

const http = 'admin/http'
const cli = 'admin/cli'

export const bodyBytesMax = limit({
  name: 'admin.body',
  value: 64 * KiB,
  unit: 'bytes',
  owner: http,
  why: 'Nothing that is asked of the admin API is longer than a page of JSON. × 256 connections = 16 MiB.',
  breach: '413',
})

export const headerBytesMax = limit({
  name: 'admin.header',
  value: 16 * KiB,
  unit: 'bytes',
  owner: http,
  why: 'Node’s own default. × 256 connections = 4 MiB.',
  breach: '431',
})

export const parameterCharactersMax = limit({
  name: 'admin.parameter',
  value: 200,
  unit: 'characters',
  owner: http,
  why: 'The part of a path that names a message: an id has 36.',
  breach: '414',
})

export const pageMessagesMax = limit({
  name: 'admin.page',
  value: 500,
  unit: 'messages',
  owner: http,
  why: 'About 500 bytes each: a quarter of a megabyte per answer.',
  breach: 'the rest is on the next page',
})

export const requestMsMax = limit({
  name: 'admin.request',
  value: 15 * secondMs,
  unit: 'ms',
  owner: http,
  why: 'A request is a packet or two; a client that sends slower holds a connection for nothing.',
  breach: '408 and close',
})

export const idleMsMax = limit({
  name: 'admin.idle',
  value: 30 * secondMs,
  unit: 'ms',
  owner: http,
  why: 'Whoever asks again within half a minute finds its connection open.',
  breach: 'close',
})

export const connectionsMax = limit({
  name: 'admin.connections',
  value: 256,
  unit: 'connections',
  owner: http,
  why: 'Browsers open six, Prometheus one; beyond this something is wrong.',
  breach: 'close',
})

export const dnsAnswerMsMax = limit({
  name: 'admin.dns',
  value: 10 * secondMs,
  unit: 'ms',
  owner: http,
  why: 'Whoever asks for a domain’s records waits for the DNS; the command line waits for 15 s.',
  breach: 'the record’s state is unknown',
})

export const answerMsMax = limit({
  name: 'cli.answer',
  value: 15 * secondMs,
  unit: 'ms',
  owner: cli,
  why: 'Three times what the engine waits for its own threads (5 s).',
  breach: 'exit code 69',
})

export const addressLineCharactersMax = limit({
  name: 'cli.address-line',
  value: 4 * KiB,
  unit: 'characters of a line in a file of addresses',
  owner: cli,
  why: 'An address has 254, and what stands behind it in a CSV file is not looked at.',
  breach: 'exit code 65',
})

export const benchBytesMax = limit({
  name: 'cli.bench-size',
  value: 100 * MiB,
  unit: 'bytes',
  owner: cli,
  why: 'Each session of `bench source` holds one message.',
  breach: 'exit code 64',
})

export const tailLinesMax = limit({
  name: 'cli.tail-lines',
  value: 10_000,
  unit: 'lines',
  owner: cli,
  why: 'They are held before the first is printed: × 600 B = 6 MB. `acct query --since` prints more.',
  breach: 'exit code 64',
})
