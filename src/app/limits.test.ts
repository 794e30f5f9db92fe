/** Bounds of the supervisor and its threads at their edge: one below, at it, one above. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '../kernel/clock.ts'
import type { FromThread } from './exchange.ts'
import { askMsMax, diskRestartMsMax } from './limits.ts'
import { diskRestartMs } from './supervisor.ts'
import { Thread, type ThreadOptions } from './thread.ts'

test('limit app.restart-disk: the pause after a failed disk is doubled up to a minute, and no further', () => {
  assert.deepEqual(
    [0, 1, 5, 6, 7, 1_000].map((failures) => diskRestartMs(failures)),
    [1_000, 2_000, 32_000, diskRestartMsMax.value, diskRestartMsMax.value, diskRestartMsMax.value],
  )
})

test('limit app.ask: an answer in five seconds counts, and nobody waits a millisecond longer', async (t) => {
  const clock = new VirtualClock()
  const options: ThreadOptions = {
    name: 'silent',
    entry: new URL('data:text/javascript,setInterval(() => {}, 1_000_000)'),
    data: null as unknown as ThreadOptions['data'],
    log: () => {},
    onEnd: () => {},
  }
  const thread = new Thread(options, clock)
  t.after(() => thread.worker.terminate())
  const answer: FromThread = { kind: 'figures', ask: 1, figures: {} }

  const inTime = thread.ask((ask) => ({ kind: 'figures', ask }))
  clock.advance(askMsMax.value - 1)
  thread.worker.emit('message', answer)
  assert.deepEqual(await inTime, answer)

  const late = thread.ask((ask) => ({ kind: 'figures', ask }))
  clock.advance(askMsMax.value)
  thread.worker.emit('message', { ...answer, ask: 2 })
  assert.equal(await late, null)
})
