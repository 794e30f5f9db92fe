/** What main may ask of the scheduler's thread. */
import { systemClock } from '../kernel/clock.ts'
import type { WrapMessages } from './delivery.ts'
import { Engine } from './engine.ts'
import type { FromThread, SchedulerThreadData, ThreadLog, ToThread } from './exchange.ts'
import { MainRequests } from './main-requests.ts'
import type { ServingThread } from './serve-main.ts'

export async function runSchedulerThread(
  data: SchedulerThreadData,
  log: ThreadLog,
  say: (message: FromThread) => void,
  wrap?: WrapMessages,
): Promise<ServingThread> {
  const requests = new MainRequests(say, systemClock)
  const engine = new Engine({
    ...data,
    log,
    tellIntake: (fullness) => say({ kind: 'full', ...fullness }),
    confirmSender: (token) => requests.confirmSender(token),
    ...(wrap !== undefined && { wrap }),
  })
  await engine.start()
  const { addresses, httpAddresses } = engine
  return {
    addresses,
    httpAddresses,
    recovery: engine.recovery,
    figures: () => engine.figures(),
    drain: (deadlineMs) => engine.drain(deadlineMs),
    hear(message) {
      requests.hear(message)
      return hear(engine, message)
    },
  }
}

function hear(engine: Engine, message: ToThread): FromThread | Promise<FromThread> | null {
  if (message.kind === 'directory') {
    engine.hearNews(message)
    return engine.hear(message) ?? { kind: 'took', ask: message.ask }
  }
  if (message.kind === 'suppressed') {
    engine.suppressed(message.memory)
    return { kind: 'took', ask: message.ask }
  }
  if (message.kind === 'deliverer-died') engine.delivererDied(message.thread, message.rings)
  else if (message.kind === 'deliverer-ready') engine.delivererReady(message.thread)
  else if (message.kind === 'quarantine') engine.quarantine(message.number)
  else return engine.hear(message)
  return null
}
