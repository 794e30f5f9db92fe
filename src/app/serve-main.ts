/** A thread's end of its conversation with main. */
import { isMainThread, parentPort } from 'node:worker_threads'
import { PosthasteError } from '../kernel/errors.ts'
import type { RecoveryReport } from '../spool/spool.ts'
import type { FromThread, Place, ThreadFigures, ThreadLog, ToThread } from './exchange.ts'

export interface ServingThread {
  readonly addresses: readonly Place[]
  readonly httpAddresses?: readonly Place[]
  readonly recovery: RecoveryReport | null
  figures(): ThreadFigures
  drain?(deadlineMs: number): Promise<void>
  /** Whatever only one kind of thread is told; returns the answer to a question. */
  hear?(message: ToThread): FromThread | Promise<FromThread> | null
}

/** Starts the thread, says `ready` or why not, and answers from then on. */
export async function serveMain(
  start: (log: ThreadLog, say: (message: FromThread) => void) => Promise<ServingThread>,
): Promise<void> {
  if (isMainThread || parentPort === null) throw new Error('this file is started by app.ts, in a thread')
  const port = parentPort
  const say = (message: FromThread): void => port.postMessage(message)
  const starting = start((level, message, fields) => say({ kind: 'log', level, message, fields }), say)
  // Attached before anything is awaited, because it keeps the thread alive.
  port.on('message', (message: ToThread) => void starting.then((thread) => answer(thread, message, say), ignore))
  try {
    const { addresses, httpAddresses = [], recovery } = await starting
    say({ kind: 'ready', addresses, httpAddresses, recovery })
  } catch (error) {
    // A cure for the operator goes to main in words; anything else is a bug and ends the thread with its stack.
    if (!(error instanceof PosthasteError)) throw error
    say({ kind: 'failed', code: error.code, message: error.message, cure: error.cure, exitCode: error.exitCode })
  }
}

function answer(thread: ServingThread, message: ToThread, say: (message: FromThread) => void): void {
  if (message.kind === 'figures') return say({ kind: 'figures', ask: message.ask, figures: thread.figures() })
  if (message.kind === 'drain') {
    const drained = thread.drain?.(message.deadlineMs) ?? Promise.resolve()
    return void drained.then(() => say({ kind: 'drained' }))
  }
  const reply = thread.hear?.(message) ?? null
  if (reply instanceof Promise) void reply.then(say)
  else if (reply !== null) say(reply)
}

/** It could not start, and has said so. */
const ignore = (): void => {}
