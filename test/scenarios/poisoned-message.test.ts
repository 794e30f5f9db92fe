/** One message over which the thread that delivers it dies, every time: the mail of all others goes on. */
import { StoreClient } from '../../src/app/store-client.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { letter, send } from '../support/scenario.ts'
import { until } from '../support/wait.ts'
import { openDisk } from '../../src/adapters/embedded/embedded.ts'
import { type Config, sandboxConfig } from '../../src/config/config.ts'
import { startReceiver } from '../../src/sandbox/sandbox.ts'
import { dumpSpool, makeSpoolDirectories } from '../../src/spool/spool.ts'
import type { Layout } from '../../src/app/layout.ts'
import type { Log } from '../../src/app/log.ts'
import { Supervisor } from '../../src/app/supervisor.ts'
import { noTenants } from '../support/no-tenants.ts'

const poisoned = new URL('../support/poisoned-thread.ts', import.meta.url)

const poisonedStore = new URL('../support/poisoned-store.ts', import.meta.url)

interface World {
  readonly store: StoreClient
  readonly config: Config
  readonly alarms: string[]
  readonly received: () => readonly string[]
  supervisor(): Supervisor
}

async function build(t: TestContext, layout: Layout): Promise<World> {
  const directory = mkdtempSync(join(tmpdir(), 'posthaste-quarantine-'))
  t.after(() => rmSync(directory, { recursive: true }))
  mkdirSync(directory, { recursive: true })
  const receiver = await startReceiver({})
  t.after(() => receiver.close())
  const { config } = sandboxConfig(directory, { smtpPort: 0, httpPort: 0, managementPort: 0 })
  makeSpoolDirectories(openDisk(directory), Math.max(1, layout.intake))
  const alarms: string[] = []
  const log = { error: (_: unknown, text: string) => alarms.push(text), fatal() {}, warn() {}, info() {}, debug() {} }
  const sandboxSink = { address: '127.0.0.1', port: receiver.port }
  const entries = { deliver: poisoned, scheduler: poisoned, events: poisonedStore }
  const store = new StoreClient({ clock: systemClock })
  return {
    config,
    store,
    alarms,
    received: () => receiver.received.map(({ envelope }) => envelope.from),
    supervisor: () => {
      const supervisor = new Supervisor({
        ...noTenants(),
        store,
        config,
        layout,
        log: log as unknown as Log,
        sandboxSink,
        entries,
      })
      t.after(() => supervisor.stop(0))
      return supervisor
    },
  }
}

const mail = async (supervisor: Supervisor, from: string): Promise<void> => {
  const smtpPort = supervisor.addresses[0]?.port ?? 0
  await send({ smtpPort }, { from, to: ['ann@example.net'], content: letter(from) })
}

/** What the logs say of the poisoned message. */
function outcomes({ config }: World): string[] {
  const kinds: string[] = []
  dumpSpool(openDisk(config.dataDirectory), ({ submission, outcomes: all }) => {
    if (submission.returnPath !== 'poison@example.com') return
    for (const { recipients } of all)
      for (const { outcome } of recipients)
        kinds.push(`${outcome.kind} ${outcome.enhanced} ${outcome.text.slice(0, 9)}`)
  })
  return kinds
}

test('in a thread of its own: it dies twice, is replaced twice, and the message is set aside with an alarm', async (t) => {
  const world = await build(t, { intake: 1, deliver: 1 })
  const supervisor = world.supervisor()
  await supervisor.start()
  await mail(supervisor, 'poison@example.com')
  await until(10_000, 'the message is not set aside', () => supervisor.setAside === 1)
  await mail(supervisor, 'me@example.com')
  await until(10_000, 'the mail of others does not arrive', () => world.received().includes('me@example.com'))
  await until(5_000, 'there is no alarm', () => world.alarms.includes('a message is set aside'))
  const restarts = supervisor.workers().find(({ name }) => name === 'deliver-0')?.restarts
  assert.equal(restarts, 2)
  assert.equal(world.alarms.filter((text) => text === 'a message is set aside').length, 1)
  await supervisor.stop(5_000)
  assert.deepEqual(outcomes(world), ['deferred 4.3.0 set aside'])
  assert.match(readFileSync(join(world.config.dataDirectory, 'strikes.json'), 'utf8'), /"times": 2/)
  assert.deepEqual(world.received(), ['me@example.com'])
})

test('on the scheduler’s thread: the process ends twice, and the third one sets the message aside', async (t) => {
  const world = await build(t, { intake: 0, deliver: 0 })
  const first = world.supervisor()
  await first.start()
  await mail(first, 'poison@example.com')
  assert.equal(await first.died, 70)
  await first.stop(0)
  const second = world.supervisor()
  await second.start().catch(() => {})
  assert.equal(await second.died, 70)
  await second.stop(0)

  const third = world.supervisor()
  await third.start()
  await mail(third, 'me@example.com')
  await until(10_000, 'the mail of others does not arrive', () => world.received().includes('me@example.com'))
  assert.equal(third.setAside, 1)
  await third.stop(5_000)
  assert.ok(outcomes(world).every((outcome) => outcome === 'deferred 4.3.0 set aside'))
  assert.deepEqual(world.received(), ['me@example.com'])
})

test('a message that the store dies over is delivered, is left out of the store with an alarm, and hides no other', async (t) => {
  const world = await build(t, { intake: 1, deliver: 1 })
  const supervisor = world.supervisor()
  await supervisor.start()
  await mail(supervisor, 'unstorable@example.com')
  await mail(supervisor, 'me@example.com')
  await until(10_000, 'all of it is delivered', () => world.received().length === 2)
  const ids = new Map<string, string>()
  dumpSpool(openDisk(world.config.dataDirectory), ({ submission }) => ids.set(submission.returnPath, submission.id))
  const statusOf = async (from: string): Promise<string | null> =>
    (await world.store.findAny(ids.get(from) ?? ''))?.status ?? null
  await until(20_000, 'the other is found', async () => (await statusOf('me@example.com')) === 'delivered')
  assert.equal(await statusOf('unstorable@example.com'), null)
  assert.equal(world.alarms.filter((text) => text === 'the message store cannot take this message').length, 2)
  assert.equal(supervisor.workers().find(({ name }) => name === 'events')?.restarts, 2)
  await supervisor.stop(5_000)
})
