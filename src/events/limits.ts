/** Bounds of the message store. How long and how much is kept are options: `store.retention`, `store.size_max`. */
import { limit } from '../kernel/limits.ts'
import { dayMs, hourMs, MiB, secondMs } from '../kernel/units.ts'

const owner = 'events'

export const filesOpenMax = limit({
  name: 'store.files-open',
  value: 8,
  unit: 'day files',
  owner,
  why: 'Today, yesterday, the days of what is still retried, and one for whoever looks back. Each takes three descriptors and its cache.',
  breach: 'the one that was not used for longest is closed',
})

export const cacheBytesMax = limit({
  name: 'store.cache',
  value: 8 * MiB,
  unit: 'bytes per open day file',
  owner,
  why: 'Pages of indexes that a message hits anywhere: one more million of addresses is 60 MB, the newest of everything else a few pages.',
  breach: 'pages are read again from the file',
})

export const namesCachedMax = limit({
  name: 'store.names-cached',
  value: 4_096,
  unit: 'names per day file',
  owner,
  why: 'Tenants, and as many receivers: numbers stand for them in rows. 4,096 × 2 × 200 B × 8 files = 13 MB at the very worst.',
  breach: 'looked up in the file again',
})

export const walBytesMax = limit({
  name: 'store.wal',
  value: 64 * MiB,
  unit: 'bytes per open day file',
  owner,
  why: 'What is written ahead between two calls of sync. Emptied early it costs one fsync more and no promise.',
  breach: 'moved into the day file at the next commit',
})

export const attemptsKeptMax = limit({
  name: 'store.attempts-kept',
  value: 20,
  unit: 'attempts per recipient',
  owner,
  why: 'Those of three days by the usual schedule. 1,000 recipients × 20 × 300 B = 6 MB for the message that is worst.',
  breach: 'the oldest is forgotten',
})

export const summaryRecipientsMax = limit({
  name: 'store.summary-recipients',
  value: 20,
  unit: 'recipients of a message in a list',
  owner,
  why: 'A page of 100 messages × 20 × 700 B = 1.4 MB; all of them are in the message’s own answer.',
  breach: 'the others are counted only',
})

export const searchRowsMax = limit({
  name: 'store.search-rows',
  value: 2_000,
  unit: 'messages looked at per page',
  owner,
  why: 'Up to 3 µs each, where the status is asked for and 50 recipients count as one more, and meanwhile nobody else is answered and nothing is stored.',
  breach: 'the page ends, and its cursor goes on from there',
})

export const searchFilesMax = limit({
  name: 'store.search-files',
  value: 4,
  unit: 'day files looked into per page',
  owner,
  why: 'Opening one takes about 1 ms; and half of those that may be open stay what mail needs.',
  breach: 'the page ends, and its cursor goes on from there',
})

export const keyMsMax = limit({
  name: 'store.key-age',
  value: 1 * dayMs,
  unit: 'ms',
  owner,
  why: 'How long a key of idempotency stands for the message that was accepted with it. Clients that retry give up sooner.',
  breach: 'the key is free for another message',
})

export const damagedKeptMax = limit({
  name: 'store.damaged-kept',
  value: 4,
  unit: 'files set aside',
  owner,
  why: 'For whoever wants to find out what happened; a disk that goes on damaging files must not be filled with them.',
  breach: 'the oldest is removed',
})

export const claimsMax = limit({
  name: 'store.claims',
  value: 20_000,
  unit: 'keys of idempotency held',
  owner,
  why: 'One per request that waits for its commit, and as many commits may wait (spool.commits-waiting): × 500 B = 10 MB.',
  breach: '503',
})

export const claimWaitersMax = limit({
  name: 'store.claim-waiters',
  value: 5_000,
  unit: 'requests',
  owner,
  why: 'They wait for another one with the same key: only clients that repeat a request before its answer. × 500 B = 2.5 MB.',
  breach: '503',
})

export const claimWaitMsMax = limit({
  name: 'store.claim-wait',
  value: 10 * secondMs,
  unit: 'ms',
  owner,
  why: 'A commit takes milliseconds, a disk that is stuck may take seconds; then the client had better ask again.',
  breach: '503',
})

export const lockWaitMsMax = limit({
  name: 'store.lock-wait',
  value: 250,
  unit: 'ms',
  owner,
  why: 'A process or thread that is being replaced needs a moment to close its files; nothing else may hold them.',
  breach: 'store_in_use',
})

export const clockAheadMsMax = limit({
  name: 'store.clock-ahead',
  value: 7 * dayMs,
  unit: 'ms',
  owner,
  why: 'Beyond the newest day of the store, or the newest rotated file and accounting.rotate_every, and the time that has passed: a week without mail is nothing strange, and a clock that errs by less makes a week of the oldest days old too early.',
  breach: 'what is old by the clock alone is kept for a while (store.clock-doubt), with a line in the log',
})

export const clockDoubtMsMin = limit({
  name: 'store.clock-doubt',
  value: 20 * hourMs,
  unit: 'ms',
  owner,
  why: 'Time for a time server or an operator to put a clock right that is far ahead; less than a day, so that an engine that is started anew every night gets there.',
  breach: 'it is believed: the engine has stood still for so long',
})

export const tallyKeptMsMax = limit({
  name: 'tally.kept',
  value: 45 * dayMs,
  unit: 'ms',
  owner,
  why: 'A month has 31 days, and no message is tried for longer: until then the logs may tell of a notice again. 300 B for each that went out.',
  breach: 'forgotten',
})

export const tallyBouncesMax = limit({
  name: 'tally.bounces-waiting',
  value: 100_000,
  unit: 'addresses',
  owner,
  why: 'They wait for the directory, which takes hundreds at a time. × 300 B = 30 MB on disk when it does not answer for long.',
  breach: 'counted only; whoever sends there again finds it again',
})

export const noticesWaitingMax = limit({
  name: 'tally.notices-waiting',
  value: 100_000,
  unit: 'notices',
  owner,
  why: 'They gather, or nobody takes them in: a disk that is full, a tenant that is. × 2 KB for one recipient = 200 MB on disk.',
  breach:
    'no more are begun; they are counted as withheld, and the message store and the accounting log have every outcome',
})

export const noticesGatheringMax = limit({
  name: 'tally.notices-gathering',
  value: 50_000,
  unit: 'notices',
  owner,
  why: 'Of messages to several recipients some of which have failed within the last minute (notices.group_within). × 250 B = 12 MB.',
  breach: 'the one that was begun first is due at once; who fails later gets another one',
})
