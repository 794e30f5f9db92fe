/** Bounds of stage 9. How long a server may take for each command stands in dialogue.ts; what the operator sets, in the section `delivery`. */
import { limit } from '../kernel/limits.ts'
import { hourMs, KiB, secondMs } from '../kernel/units.ts'

const owner = 'deliver'

export const addressesPerAttemptMax = limit({
  name: 'deliver.addresses',
  value: 5,
  unit: 'addresses',
  owner,
  why: 'A dead site costs at most this many connection attempts per grant. RFC 5321 §5.1 asks for at least two.',
  breach: 'the last failure is reported',
})

export const setupMsMax = limit({
  name: 'deliver.setup',
  value: 330 * secondMs,
  unit: 'ms',
  owner,
  why: '300 s for one greeting (RFC 5321 §4.5.3.2.1) + 30 s for one connect: after that no further address is begun.',
  breach: 'the last failure is reported',
})

export const hostFailureMs = limit({
  name: 'deliver.host-failure',
  value: 30 * secondMs,
  unit: 'ms',
  owner,
  why: 'One connect timeout: 20 connections to a site whose first address is dead wait for it once, not 20 times in a row.',
  breach: 'the address is tried in its turn again',
})

export const hostDowngradeMs = limit({
  name: 'deliver.host-downgrade',
  value: hourMs,
  unit: 'ms',
  owner,
  why: 'A server whose STARTTLS fails, or that lies about its extensions, is usually repaired by a person.',
  breach: 'the server is believed again',
})

export const tlsSessionMs = limit({
  name: 'deliver.tls-session',
  value: hourMs,
  unit: 'ms',
  owner,
  why: 'Tickets live for 1 to 2 hours on most servers; an expired one only costs a full handshake.',
  breach: 'full handshake',
})

export const tlsSessionsMax = limit({
  name: 'deliver.tls-sessions',
  value: 1_000,
  unit: 'hosts',
  owner,
  why: '1,000 × about 3 KB of ticket and certificate = 3 MB.',
  breach: 'the oldest is forgotten',
})

export const hostsRememberedMax = limit({
  name: 'deliver.hosts',
  value: 10_000,
  unit: 'hosts',
  owner,
  why: '10,000 × about 150 B = 1.5 MB for each of the five things that are remembered of hosts.',
  breach: 'the oldest is forgotten',
})

export const writeBytesMax = limit({
  name: 'deliver.write',
  value: 64 * KiB,
  unit: 'bytes',
  owner,
  why: 'At 64 KiB per 180 s the slowest receiver that is put up with takes 364 B/s; a TLS record holds 16 KiB, so nothing is gained above.',
  breach: 'written in parts',
})

export const sweepMs = limit({
  name: 'deliver.sweep',
  value: secondMs,
  unit: 'ms',
  owner,
  why: 'Deadlines are compared, not armed: up to this much late on the minutes of RFC 5321 §4.5.3.2, and no timer per command.',
  breach: 'later by as much',
})
