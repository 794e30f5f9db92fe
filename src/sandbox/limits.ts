/** Bounds of captured mail: what is kept, and how much of a stranger's message is looked at to show it. */
import { limit } from '../kernel/limits.ts'
import { KiB, MiB } from '../kernel/units.ts'

const owner = 'sandbox'

export const capturedMessagesMax = limit({
  name: 'sandbox.messages',
  value: 10_000,
  unit: 'messages',
  owner,
  why: 'Ten pages of the longest (sandbox.page); what is older, nobody looks for.',
  breach: 'the oldest is dropped',
})

export const capturedBytesMax = limit({
  name: 'sandbox.content',
  value: 512 * MiB,
  unit: 'bytes',
  owner,
  why: '10,000 messages of 50 KiB, or ten of the largest.',
  breach: 'the oldest is dropped',
})

export const pageMessagesMax = limit({
  name: 'sandbox.page',
  value: 1_000,
  unit: 'messages',
  owner,
  why: 'About 500 bytes each: half a megabyte per answer.',
  breach: 'the rest is on the next page',
})

export const shownHeaderBytesMax = limit({
  name: 'sandbox.shown-header',
  value: 256 * KiB,
  unit: 'bytes',
  owner,
  why: 'RFC 5322 has no bound; what is accepted has at most 100 KiB (smtp.header), and some room for what is added.',
  breach: 'not looked at',
})

export const shownPartsMax = limit({
  name: 'sandbox.shown-parts',
  value: 200,
  unit: 'parts',
  owner,
  why: 'A message with twenty pictures has 24. A body of delimiters alone could have a million.',
  breach: 'not looked at',
})

export const shownDepthMax = limit({
  name: 'sandbox.shown-depth',
  value: 20,
  unit: 'levels',
  owner,
  why: 'Mixed, related and alternative are three; every forward adds as many.',
  breach: 'shown as an attachment',
})
