/** What main may ask of the scheduler's thread. */
import type { WrapMessages } from './delivery.ts'
import { Engine } from './engine.ts'
import type { FromThread, SchedulerThreadData, ThreadLog, ToThread } from './exchange.ts'
import type { ServingThread } from './serve-main.ts'

export async function runSchedulerThread(
  data: SchedulerThreadData,
  log: ThreadLog,
  say: (message: FromThread) => void,
  wrap?: WrapMessages,
): Promise<ServingThread> {
  const engine = new Engine({
    ...data,
    log,
    tellIntake: (fullness) => say({ kind: 'full', ...fullness }),
    ...(wrap !== undefined && { wrap }),
  })
  const addresses = await engine.start()
  return {
    addresses,
    recovery: engine.recovery,
    figures: () => engine.figures(),
    drain: (deadlineMs) => engine.drain(deadlineMs),
    hear: (message) => hear(engine, message),
  }
}

function hear(engine: Engine, message: ToThread): FromThread | null {
  if (message.kind === 'live') return { kind: 'live', ask: message.ask, recipients: engine.live(message.number) }
  if (message.kind === 'deliverer-died') engine.delivererDied(message.thread, message.rings)
  else if (message.kind === 'deliverer-ready') engine.delivererReady(message.thread)
  else if (message.kind === 'quarantine') engine.quarantine(message.number)
  return null
}
