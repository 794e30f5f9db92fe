/** Bounds of the resolver. Whoever answers, and whatever is answered, memory and time stay within these. */
import { limit } from '../../kernel/limits.ts'
import { dayMs, hourMs, KiB, secondMs } from '../../kernel/units.ts'

const owner = 'adapters/dns'

export const aliasesMax = limit({
  name: 'dns.aliases',
  value: 8,
  unit: 'CNAME records',
  owner,
  why: 'RFC 1034 §3.6.2 advises against chains at all; honest ones are two or three long, and RFC 1035 §7.1 asks for a bound.',
  breach: 'a loop: 5.4.4',
})

export const exchangersMax = limit({
  name: 'dns.exchangers',
  value: 20,
  unit: 'MX records',
  owner,
  why: 'Mail is tried at a few exchangers only; more serve to exhaust us.',
  breach: 'the best 20 by preference are kept',
})

export const addressesMax = limit({
  name: 'dns.addresses',
  value: 32,
  unit: 'addresses per host and family',
  owner,
  why: 'Five are tried (deliver.addresses); more only spread the load.',
  breach: 'the first 32 are kept',
})

export const textsMax = limit({
  name: 'dns.texts',
  value: 100,
  unit: 'TXT records of a name',
  owner,
  why: 'Large companies have some fifty proofs of ownership beside their SPF record.',
  breach: 'the first 100 are kept',
})

export const textBytesMax = limit({
  name: 'dns.text',
  value: 4 * KiB,
  unit: 'bytes in a TXT record',
  owner,
  why: 'A DKIM key of 4,096 bits has 750. With dns.texts: 400 KiB, for as long as somebody asks.',
  breach: 'the record is left out',
})

export const recordsPerReplyMax = limit({
  name: 'dns.records',
  value: 2_048,
  unit: 'records per reply',
  owner,
  why: '500 MX records with an address each, twice over. A 64 KiB reply could otherwise carry 5,900.',
  breach: 'the reply counts as malformed',
})

export const cacheEntriesMax = limit({
  name: 'dns.cache',
  value: 20_000,
  unit: 'answers',
  owner,
  why: 'A typical answer is 300 bytes, the largest (20 names of 253 characters) 6 KB: 6 MB usual, 120 MB at the very worst.',
  breach: 'the least recently used goes',
})

export const questionsInFlightMax = limit({
  name: 'dns.questions',
  value: 256,
  unit: 'questions in flight',
  owner,
  why: 'One socket each; far below the usual 1,024 descriptors per process. Over TCP each holds 64 KiB: 16 MiB at the very worst.',
  breach: 'questions wait',
})

export const questionsWaitingMax = limit({
  name: 'dns.questions-waiting',
  value: 10_000,
  unit: 'questions',
  owner,
  why: 'At 256 in flight and 20 ms each, 10,000 are answered in 0.8 s.',
  breach: 'temporary failure: 4.4.3',
})

export const questionMsMax = limit({
  name: 'dns.question',
  value: 30 * secondMs,
  unit: 'ms',
  owner,
  why: 'All servers, rounds and aliases of one question. Two rounds over three servers at the default timeout fit.',
  breach: 'temporary failure: 4.4.3',
})

export const serversMax = limit({
  name: 'dns.system-servers',
  value: 3,
  unit: 'servers of resolv.conf',
  owner,
  why: 'As many as the system’s own resolver reads (resolv.conf(5)).',
  breach: 'later ones are not asked',
})

export const downMs = limit({
  name: 'dns.server-down',
  value: 30 * secondMs,
  unit: 'ms',
  owner,
  why: 'A server that kept silent costs a timeout per question while it is asked first.',
  breach: 'asked in its turn again',
})

export const ttlMsMin = limit({
  name: 'dns.ttl-min',
  value: secondMs,
  unit: 'ms',
  owner,
  why: 'A TTL of 0 would ask once per message.',
  breach: 'a shorter one counts as this',
})

export const positiveTtlMsMax = limit({
  name: 'dns.ttl',
  value: dayMs,
  unit: 'ms',
  owner,
  why: 'A week-long TTL would outlive a provider’s move.',
  breach: 'a longer one counts as this',
})

export const negativeTtlMsMax = limit({
  name: 'dns.ttl-negative',
  value: hourMs,
  unit: 'ms',
  owner,
  why: 'RFC 2308 §5 finds one to three hours sensible.',
  breach: 'a longer one counts as this',
})

export const failureTtlMs = limit({
  name: 'dns.ttl-failure',
  value: 5 * secondMs,
  unit: 'ms',
  owner,
  why: 'How long a failure stands before the servers are asked again (RFC 2308 §7.1: five minutes at most).',
  breach: 'the servers are asked again',
})

export const staleMsMax = limit({
  name: 'dns.stale',
  value: dayMs,
  unit: 'ms',
  owner,
  why: 'RFC 8767 §5: an answer past its time may serve for one to three days while nobody answers.',
  breach: 'temporary failure: 4.4.3',
})

export const staleTtlMs = limit({
  name: 'dns.ttl-stale',
  value: 30 * secondMs,
  unit: 'ms',
  owner,
  why: 'RFC 8767 §5: what serves past its time is called 30 s fresh.',
  breach: 'asked for again',
})

export const udpPayloadBytes = limit({
  name: 'dns.udp-payload',
  value: 1_232,
  unit: 'bytes',
  owner,
  why: 'RFC 6891 §6.2.5 and the DNS flag day of 2020: fits one unfragmented packet on any path.',
  breach: 'asked for over TCP',
})
