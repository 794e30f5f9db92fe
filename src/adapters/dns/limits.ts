/** Bounds of the resolver. Whoever answers, and whatever is answered, memory and time stay within these. */
import { limit } from '../../kernel/limits.ts'
import { dayMs, hourMs, secondMs } from '../../kernel/units.ts'

const owner = 'adapters/dns'

/** RFC 1035 §2.3.4: 255 bytes on the wire are 253 characters of text. */
export const nameCharactersMax = limit({
  value: 253,
  unit: 'characters',
  owner,
  breach: 'no such domain, without asking',
})

/** RFC 1034 §3.6.2 advises against chains at all; honest ones are two or three long, and RFC 1035 §7.1 asks for a bound. */
export const aliasesMax = limit({ value: 8, unit: 'CNAME records', owner, breach: 'a loop: 5.4.4' })

/** Mail is tried at a few exchangers only; more serve to exhaust us. */
export const exchangersMax = limit({
  value: 20,
  unit: 'MX records',
  owner,
  breach: 'the best 20 by preference are kept',
})

export const addressesMax = limit({
  value: 32,
  unit: 'addresses per host and family',
  owner,
  breach: 'the first 32 are kept',
})

/** 500 MX records with an address each, twice over. A 64 KiB reply could otherwise carry 5,900. */
export const recordsPerReplyMax = limit({
  value: 2_048,
  unit: 'records',
  owner,
  breach: 'the reply counts as malformed',
})

/** A typical answer is 300 bytes, the largest (20 names of 253 characters) 6 KB: 6 MB usual, 120 MB at the very worst. */
export const cacheEntriesMax = limit({ value: 20_000, unit: 'answers', owner, breach: 'the least recently used goes' })

/** One socket each; far below the usual 1,024 descriptors per process. */
export const questionsInFlightMax = limit({ value: 256, unit: 'questions', owner, breach: 'questions wait' })

/** At 256 in flight and 20 ms each, 10,000 are answered in 0.8 s. */
export const questionsWaitingMax = limit({
  value: 10_000,
  unit: 'questions',
  owner,
  breach: 'temporary failure: 4.4.3',
})

/** All servers, rounds and aliases of one question. Two rounds over three servers at the default timeout fit. */
export const questionMsMax = limit({ value: 30 * secondMs, unit: 'ms', owner, breach: 'temporary failure: 4.4.3' })

/** As many as the system's own resolver reads (resolv.conf(5)). */
export const serversMax = limit({ value: 3, unit: 'servers', owner, breach: 'later ones are not asked' })

/** A TTL of 0 would ask once per message; a week-long one would outlive a provider's move. */
export const positiveTtlMs = { min: secondMs, max: dayMs } as const

/** RFC 2308 §5 finds one to three hours sensible. */
export const negativeTtlMs = { min: secondMs, max: hourMs } as const

/** How long a failure stands before the servers are asked again (RFC 2308 §7.1: five minutes at most). */
export const failureTtlMs = 5 * secondMs

/** RFC 8767 §5: an answer past its time may serve for one to three days while nobody answers, and is called 30 s fresh. */
export const staleMsMax = dayMs
export const staleTtlMs = 30 * secondMs

/** RFC 6891 §6.2.5 and the DNS flag day of 2020: fits one unfragmented packet on any path. */
export const udpPayloadBytes = 1_232
