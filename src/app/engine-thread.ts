/** Entry of the engine thread. */
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { PosthasteError } from '../kernel/errors.ts'
import { Engine } from './engine.ts'
import type { EngineThreadData, FromEngine, ToEngine } from './exchange.ts'

if (isMainThread || parentPort === null) throw new Error('this file is started by app.ts, in a thread')
const port = parentPort
const say = (message: FromEngine): void => port.postMessage(message)

try {
  const engine = new Engine({
    ...(workerData as EngineThreadData),
    log: (level, message, fields) => say({ kind: 'log', level, message, fields }),
  })
  port.on('message', (message: ToEngine) => {
    switch (message.kind) {
      case 'figures':
        return say({ kind: 'figures', ask: message.ask, figures: engine.figures() })
      case 'live':
        return say({ kind: 'live', ask: message.ask, recipients: engine.live(message.number) })
      case 'drain':
        return void engine.drain(message.deadlineMs).then(() => say({ kind: 'drained' }))
    }
  })
  const addresses = await engine.start()
  say({ kind: 'ready', addresses, recovery: engine.recovery })
} catch (error) {
  // A cure for the operator goes to main in words; anything else is a bug and ends the thread with its stack.
  if (!(error instanceof PosthasteError)) throw error
  say({ kind: 'failed', code: error.code, message: error.message, cure: error.cure, exitCode: error.exitCode })
}
