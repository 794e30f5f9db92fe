/** Bounds of stage 9. Times that RFC 5321 §4.5.3.2 gives to each command stand in dialogue.ts. */
import { limit } from '../kernel/limits.ts'
import { hourMs, KiB, secondMs } from '../kernel/units.ts'

/** A dead site costs at most this many connection attempts per grant. RFC 5321 §5.1 asks for at least two. */
export const addressesPerAttemptMax = limit({
  value: 5,
  unit: 'addresses',
  owner: 'deliver',
  breach: 'the last failure is reported',
})

/** 300 s for one greeting (RFC 5321 §4.5.3.2.1) + 30 s for one connect: after that no further address is begun. */
export const setupMsMax = limit({
  value: 330 * secondMs,
  unit: 'ms',
  owner: 'deliver',
  breach: 'the last failure is reported',
})

/** One connect timeout: 20 connections to a site whose first address is dead wait for it once, not 20 times in a row. */
export const hostFailureMs = limit({
  value: 30 * secondMs,
  unit: 'ms',
  owner: 'deliver',
  breach: 'the address is tried again',
})

/** A server whose STARTTLS fails, or that lies about its extensions, is usually repaired by a person. */
export const hostDowngradeMs = limit({
  value: hourMs,
  unit: 'ms',
  owner: 'deliver',
  breach: 'the server is believed again',
})

/** Tickets live for 1 to 2 hours on most servers; an expired one only costs a full handshake. */
export const tlsSessionMs = limit({ value: hourMs, unit: 'ms', owner: 'deliver', breach: 'full handshake' })

/** 1,000 hosts × about 3 KB of ticket and certificate = 3 MB per deliverer. */
export const tlsSessionsMax = limit({
  value: 1_000,
  unit: 'hosts',
  owner: 'deliver',
  breach: 'the oldest is forgotten',
})

/** 10,000 × about 150 B = 1.5 MB for each thing that is remembered of hosts. */
export const hostsRememberedMax = limit({
  value: 10_000,
  unit: 'hosts',
  owner: 'deliver',
  breach: 'the oldest is forgotten',
})

/** At 64 KiB per 180 s the slowest receiver that is put up with takes 364 B/s; a TLS record holds 16 KiB, so nothing is gained above. */
export const writeBytesMax = limit({ value: 64 * KiB, unit: 'bytes', owner: 'deliver', breach: 'written in parts' })

/** Diagnostic text in events, notices and logs; RFC 5321 §4.5.3.1.5 lets a reply line be 512 bytes. */
export const outcomeTextMax = limit({ value: 512, unit: 'characters', owner: 'deliver', breach: 'cut' })

/** Deadlines are compared, not armed: up to this much late on the minutes of RFC 5321 §4.5.3.2, and no timer per command. */
export const sweepMs = limit({ value: secondMs, unit: 'ms', owner: 'deliver', breach: 'later by as much' })
