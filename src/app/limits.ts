/** Bounds of the process as a whole. All the others are joined to them in limit-table.ts. */
import { limit } from '../kernel/limits.ts'
import { KiB, MiB, secondMs } from '../kernel/units.ts'

const owner = 'app'

export const drainMsMax = limit({
  name: 'app.drain',
  value: 27 * secondMs,
  unit: 'ms',
  owner,
  why: 'SIGTERM to exit. The longest that a package manager waits before it loses patience is 30 s.',
  breach: 'what is under way is cut off, and sent again after the next start',
})

export const descriptorsReserved = limit({
  name: 'app.descriptors',
  value: 864,
  unit: 'open files',
  owner,
  why: '2 × 64 segments + 256 DNS questions + 256 connections of the admin API + 2 × 64 listeners + 48 of the message store, the tally and the accounting log + 48 others, beside the connections for mail.',
  breach: 'fewer connections for mail, with a warning at start',
})

export const descriptorsPerDeliverThread = limit({
  name: 'app.descriptors-per-deliver-thread',
  value: 320,
  unit: 'open files',
  owner,
  why: '64 segments and 256 DNS questions: each thread that delivers has its own.',
  breach: 'fewer connections for mail, with a warning at start',
})

export const intakeThreadsMax = limit({
  name: 'app.intake-threads',
  value: 16,
  unit: 'threads',
  owner,
  why: 'As many as `threads.intake` takes: 64 cores. Each has a log with a window of its own.',
  breach: 'no more by themselves',
})

export const deliverThreadsMax = limit({
  name: 'app.deliver-threads',
  value: 8,
  unit: 'threads',
  owner,
  why: 'One scheduler feeds a dozen; these sign 18,000 messages a second with RSA-2048.',
  breach: 'no more by themselves; `threads.deliver` takes up to 32',
})

export const storeDiskMsMax = limit({
  name: 'app.store-disk',
  value: 60 * secondMs,
  unit: 'ms',
  owner,
  why: 'What is under way on the disk of the message store before a file of it is closed or moved: a sync takes a tenth of a second, on a disk that is stuck up to a minute.',
  breach: 'store_failed: the events thread ends and is started again',
})

export const restartPauseMsMax = limit({
  name: 'app.restart-pause',
  value: 10 * secondMs,
  unit: 'ms',
  owner,
  why: 'A thread that dies again and again is started again at once, then after 100 ms, 200 ms, … until this. A quiet minute forgets.',
  breach: 'the pause grows no more',
})

export const strikesMax = limit({
  name: 'app.strikes',
  value: 1_000,
  unit: 'messages',
  owner,
  why: 'Messages over which the program has died, of 200 bytes each, read at the start and written at each death.',
  breach: 'the one that was struck longest ago is forgotten',
})

export const diskRestartMsMax = limit({
  name: 'app.restart-disk',
  value: 60 * secondMs,
  unit: 'ms',
  owner,
  why: 'After a failed disk: 1 s, doubled up to this. Clients hear 421 meanwhile, and try again in minutes themselves.',
  breach: 'the pause grows no more',
})

export const askMsMax = limit({
  name: 'app.ask',
  value: 5 * secondMs,
  unit: 'ms',
  owner,
  why: 'How long a page of the admin API waits for figures of a thread that is busy: a third of what the command line waits (cli.answer).',
  breach: 'answered without them',
})

export const storeAskMsMax = limit({
  name: 'app.store-ask',
  value: 12 * secondMs,
  unit: 'ms',
  owner,
  why: 'How long a request of the API waits for the message store, which answers in a millisecond unless it catches up after a start; and longer than a request waits for another one with its key (store.claim-wait).',
  breach: '503',
})

export const storeAsksMax = limit({
  name: 'app.store-asks',
  value: 10_000,
  unit: 'questions per thread',
  owner,
  why: 'One for each connection of the API (http.connections_max), of some 500 bytes.',
  breach: '503',
})

export const endedKeptMax = limit({
  name: 'app.ended-kept',
  value: 2_000,
  unit: 'messages per thread',
  owner,
  why: 'Answers about messages that have come to their end: 2,000 × up to 4 recipients × 1 KiB = 8 MB. Whoever asks again spares the message store.',
  breach: 'the oldest is asked for again',
})

export const endedRecipientsMax = limit({
  name: 'app.ended-recipients',
  value: 4,
  unit: 'recipients of a message that is kept',
  owner,
  why: 'Single mails are what is asked for again and again.',
  breach: 'the message store is asked every time',
})

export const endedMsMax = limit({
  name: 'app.ended-age',
  value: 60 * secondMs,
  unit: 'ms',
  owner,
  why: 'How long an answer is kept: a message that the store drops by its retention is gone here a minute later.',
  breach: 'the message store is asked again',
})

export const headsRecipientsMax = limit({
  name: 'app.heads-kept',
  value: 5_000,
  unit: 'recipients',
  owner,
  why: 'Of the messages that came in last, for the accounting log: their outcomes come within seconds, and the line of each says whose it was. × 1 KB = 5 MB, 40 MB if all have the longest metadata there may be; and more would cost the collector of garbage more than reading again costs us.',
  breach: 'the older half is read again from the spool',
})

export const storesSetAsideMax = limit({
  name: 'app.stores-set-aside',
  value: 3,
  unit: 'directories',
  owner,
  why: 'A store that was made from another spool is kept as `store.other-N`, because its history is nowhere else. Whoever has changed spools that often has looked.',
  breach: 'the oldest is removed, with a line in the log',
})

export const noticesUnderWayMax = limit({
  name: 'app.notices-under-way',
  value: 16,
  unit: 'notices',
  owner,
  why: 'Each may hold a mail of 1 MiB (notices.return_full_max) while it is written and handed over: 16 MB. Thousands a second go out even so.',
  breach: 'the others wait for the next second',
})

export const originalHeaderBytesMax = limit({
  name: 'app.original-header',
  value: 64 * KiB,
  unit: 'bytes',
  owner,
  why: 'What is read of a mail for the notice about it: a header block is seldom longer than a tenth of that.',
  breach: 'the rest of the header is left out',
})

export const refusalsAtOnceMax = limit({
  name: 'app.refusals',
  value: 100,
  unit: 'per 0.2 s and thread',
  owner,
  why: 'Whoever floods us with nonsense must not keep another thread busy with writing it down. × 500 B = 50 KB.',
  breach: 'the others are counted, and the count is written',
})

export const logBytesMax = limit({
  name: 'app.log-waiting',
  value: 1 * MiB,
  unit: 'bytes',
  owner,
  why: 'Lines of the log that wait while standard error takes none: some four thousand. There are a few a minute.',
  breach: 'they are left out, and counted in a line of its own',
})
