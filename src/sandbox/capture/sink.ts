/**
 * The sandbox's only destination: takes mail for every address anywhere and keeps it, except that these addresses, by local part at
 * sandbox.test and every domain below it, misbehave:
 *
 *   bounce@    RCPT is refused: 550 5.1.1
 *   defer3@    451 4.3.0 to the content three times, then taken
 *   slow@      taken, the final reply comes after 5 s
 *   drop@      the connection is reset in mid-content the first time, then taken
 *   lost@      taken, but the final reply is lost the first time: the retry is flagged as a duplicate of the first copy
 *
 * "Times" are counted for each pair of Message-ID and recipient, so that every new message shows the whole behaviour. A misbehaving
 * recipient gets a message of its own (452 4.5.3 to others), so that it spoils nobody's delivery.
 */
import type { Clock } from '../../kernel/clock.ts'
import type { Random } from '../../kernel/random.ts'
import { capturedBytesMax, capturedMessagesMax } from '../limits.ts'
import { type ReceivedMessage, type Receiver, startReceiver } from '../receiver/receiver.ts'
import type { ReceiverScript } from '../receiver/script.ts'
import {
  type CaptureReader,
  CaptureStore,
  type CapturedMessage,
  type CapturedSummary,
  type ListQuery,
} from './store.ts'

export interface CaptureSinkOptions {
  /** Where captured.db is or will be; created when missing. */
  readonly directory: string
  readonly clock: Clock
  readonly random: Random
  /** Default limits.ts. */
  readonly messagesMax?: number
  /** Of content. Default limits.ts. */
  readonly bytesMax?: number
  /** Loopback; default 127.0.0.1 and a free port. */
  readonly address?: string
  readonly port?: number
  /** Largest content taken. Default that of the receiver. */
  readonly messageBytesMax?: number
}

export interface CaptureSink extends Omit<CaptureReader, 'close'> {
  readonly address: string
  readonly port: number
  readonly counters: Receiver['counters']
  close(): Promise<void>
}

const at = (local: string): string[] => [`${local}@sandbox.test`, `${local}@*.sandbox.test`]

const captureScript: ReceiverScript = {
  hostname: 'capture.sandbox.test',
  rules: [
    { for: at('bounce'), rcpt: { reply: '550 5.1.1 no such user: this address always bounces' } },
    {
      for: at('defer3'),
      alone: true,
      final: { reply: '451 4.3.0 not now: this address defers three times', times: 3, per: 'message' },
    },
    { for: at('slow'), alone: true, final: { latencyMs: 5_000 } },
    { for: at('drop'), alone: true, content: { ending: 'reset', times: 1, per: 'message' } },
    { for: at('lost'), alone: true, final: { ending: 'reset', times: 1, per: 'message' } },
  ],
}

export async function startCaptureSink(options: CaptureSinkOptions): Promise<CaptureSink> {
  const { directory, clock, random } = options
  const { messagesMax = capturedMessagesMax.value, bytesMax = capturedBytesMax.value } = options
  const store = new CaptureStore(directory, { messagesMax, bytesMax })
  const writer = new GroupWriter(store)
  const { messageBytesMax: sizeBytesMax } = options
  try {
    const receiver = await startReceiver(
      sizeBytesMax === undefined ? captureScript : { ...captureScript, sizeBytesMax },
      {
        clock,
        random,
        rememberMax: 0,
        onMessage: (message) => writer.write(message),
        ...(options.address !== undefined && { address: options.address }),
        ...(options.port !== undefined && { port: options.port }),
      },
    )
    return sinkOf(receiver, store)
  } catch (error) {
    store.close()
    throw error
  }
}

function sinkOf(receiver: Receiver, store: CaptureStore): CaptureSink {
  return {
    address: receiver.address,
    port: receiver.port,
    counters: receiver.counters,
    list: (query?: ListQuery): CapturedSummary[] => store.list(query),
    show: (id: number): CapturedMessage | null => store.show(id),
    raw: (id: number): Buffer | null => store.raw(id),
    async close() {
      await receiver.close()
      store.close()
    },
  }
}

/** What arrives in one turn of the event loop is one transaction and one promise; the 250 follows it, so whoever saw that finds the mail. */
class GroupWriter {
  readonly #store: CaptureStore
  #group: Promise<void> | null = null

  constructor(store: CaptureStore) {
    this.#store = store
  }

  write(message: ReceivedMessage): Promise<void> {
    this.#store.add(message)
    this.#group ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        this.#group = null
        try {
          this.#store.flush()
          resolve()
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)))
        }
      })
    })
    return this.#group
  }
}
