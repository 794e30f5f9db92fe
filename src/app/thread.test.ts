import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventsThreadData } from './exchange.ts'
import { deathOf, Thread } from './thread.ts'

const errors = new URL('../kernel/errors.ts', import.meta.url).href

/** What main is told of a thread that runs this and dies. */
async function death(code: string): Promise<ReturnType<typeof deathOf>> {
  const script = `import { PosthasteError } from '${errors}'; import { parentPort } from 'node:worker_threads'; ${code}`
  const entry = new URL(`data:text/javascript,${encodeURIComponent(script)}`)
  return new Promise((resolve) => {
    const onEnd = (error: Error | null): void => resolve(deathOf(error))
    const thread = new Thread({ name: 'events', entry, data: {} as EventsThreadData, log: () => {}, onEnd })
    thread.ready.catch(() => void thread.worker.terminate())
  })
}

test('a thread that dies of what can be cured tells the cure, and of a bug its stack', async () => {
  const cured = { error: 'the store has no room left on its disk', cure: 'Free some space.' }
  const args = `'store_full', '${cured.error}', '${cured.cure}'`
  assert.deepEqual(await death(`throw new PosthasteError(${args})`), cured)
  const failed = { kind: 'failed', code: 'store_full', message: cured.error, cure: cured.cure, exitCode: 74 }
  const cannotStart = `parentPort.postMessage(${JSON.stringify(failed)}); setInterval(() => {}, 1_000)`
  assert.deepEqual(await death(cannotStart), cured)
  const bug = await death(`throw new TypeError('of no kind')`)
  assert.match(bug.error, /^TypeError: of no kind\n +at /)
  assert.equal(bug.cure, undefined)
  assert.deepEqual(await death('process.exit()'), { error: 'it was ended from outside' })
})
