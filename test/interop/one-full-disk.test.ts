/** Spool, store, tally, accounting log, directory and the engine's own log on one disk, which somebody else fills. */
import assert from 'node:assert/strict'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { Compile } from 'typebox/schema'
import { loadConfig } from '../../src/config/config.ts'
import { MiB } from '../../src/kernel/units.ts'
import { apiSender, makeApiTenant } from '../support/api-tenant.ts'
import { readProjectFile } from '../support/house-source.ts'
import type { Posthaste } from '../support/posthaste.ts'
import { folder, letter, posthaste, receiver, settled, startRelay } from '../support/scenario.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { accountingLines } from '../support/told.ts'
import { until } from '../support/wait.ts'
import { type SmallDisk, smallDisk } from './support/small-disk.ts'

const seconds = 5_000

test('a disk that holds everything is filled to the last block: mail is refused, what was accepted goes on; once there is room all is as it should be', async (t) => {
  const disk = smallDisk(t, 32 * MiB)
  const world = await startWorld(t, disk)
  await mailFlows(world)

  const keeper = setInterval(() => disk.fill(), 20)
  t.after(() => clearInterval(keeper))
  disk.fill()
  await mailIsRefused(world)
  await whatWasAcceptedGoesOn(world)
  await noChangeIsHalfMade(world)
  clearInterval(keeper)
  disk.free()

  await until(seconds, 'mail is not accepted again', async () => (await world.smtp()).startsWith('250'))
  await until(seconds, 'nor by HTTP', async () => (await world.http()).status === 202)
  await everythingIsRight(world)
  await theLogTellsOfIt(world)
  assert.equal(await world.program.stop(), 0)

  world.program = await world.start()
  await everythingIsRight(world)
  assert.deepEqual(await world.suppressed(), ['first@example.net', ...many, 'second@example.net'].sort())
  assert.equal(await world.program.stop(), 0)
})

async function mailFlows(world: World): Promise<void> {
  for (let i = 0; i < 10; i++) {
    assert.match(await world.smtp(), /^250/)
    assert.match(await world.smtp('held'), /^250/)
    assert.equal((await world.http()).status, 202)
  }
  assert.equal((await world.command('suppression', 'add', 'first@example.net', '--tenant', 'shop')).code, 0)
  assert.equal((await world.command('tenant', 'quota', 'shop', '--per-day', '1000')).code, 0)
}

/** With mail that comes all the time: nobody waits for a pause to look at the disk. */
async function mailIsRefused(world: World): Promise<void> {
  let reply = ''
  await until(seconds, 'nobody is refused by SMTP', async () => {
    reply = await world.smtp()
    return !reply.startsWith('250')
  })
  assert.match(reply, /^452 4\.3\.1 /)
  const { status, headers, problem } = await world.http()
  assert.deepEqual([status, headers.get('retry-after'), problem.code], [503, '30', 'spool_full'])
  assert.ok(problem.detail && problem.cure)
  const ready = await fetch(`http://127.0.0.1:${world.program.managementPort}/readyz`)
  assert.equal(ready.status, 503)
  assert.match(await ready.text(), /the disk is below its reserve/)
  await until(seconds, 'status does not say why', async () => {
    const { stdout } = await world.command('status')
    return stdout.startsWith('mail.example.org is DEGRADED') && /^ +! .*the disk is below its reserve/m.test(stdout)
  })
}

async function whatWasAcceptedGoesOn(world: World): Promise<void> {
  assert.ok(!world.arrived.some((to) => to.startsWith('held')))
  world.held = false
  await until(2 * seconds, 'what was accepted waits', () => world.arrived.length === world.acknowledged.size)
}

async function noChangeIsHalfMade(world: World): Promise<void> {
  const file = join(world.elsewhere, 'addresses.csv')
  writeFileSync(file, many.join('\n'))
  const { code, stderr } = await world.command('suppression', 'add', '--file', file, '--tenant', 'shop')
  assert.equal(code, 74, stderr)
  assert.match(stderr, /has no room left on its disk[^]*Free some space/)
  assert.deepEqual(await world.suppressed(), ['first@example.net'])
  const { stdout } = await world.command('status', '--json')
  const { threads } = JSON.parse(stdout) as { threads: { name: string; restarts: number }[] }
  for (const { name, restarts } of threads)
    assert.ok(restarts <= (name === 'events' ? 12 : 0), `${name} died ${restarts} times`)
}

async function everythingIsRight(world: World): Promise<void> {
  const { program, directory, acknowledged } = world
  for (const [to, id] of acknowledged) {
    const recipients = await settled(program, id, directory)
    assert.deepEqual(
      recipients.map(({ address, state, may_be_duplicate }) => [address, state, may_be_duplicate]),
      [[to, 'delivered', false]],
    )
  }
  assert.deepEqual(world.arrived.toSorted(), [...acknowledged.keys()].sort())
  const story = (): string[] =>
    accountingLines(directory)
      .filter(({ event }) => event !== 'deferred')
      .map(({ id, recipient, event }) => `${id} ${recipient} ${event}`)
  await until(4 * seconds, 'lines are missing', () => story().length >= 2 * acknowledged.size)
  assert.deepEqual(
    story().sort(),
    [...acknowledged].flatMap(([to, id]) => [`${id} ${to} accepted`, `${id} ${to} delivered`]).sort(),
  )
  const schema = Compile(JSON.parse(readProjectFile('docs/accounting.schema.json')) as Record<string, unknown>)
  for (const line of accountingLines(directory)) assert.ok(schema.Check(line), JSON.stringify(line))
  const file = join(world.elsewhere, 'addresses.csv')
  assert.equal((await world.command('suppression', 'add', '--file', file, '--tenant', 'shop')).code, 0)
  assert.equal((await world.command('suppression', 'add', 'second@example.net', '--tenant', 'shop')).code, 0)
  assert.match((await world.command('tenant', 'quota', 'shop', '--per-day', '2000')).stdout, /2,000/)
}

/** What found no room in it is counted. */
async function theLogTellsOfIt({ directory }: World): Promise<void> {
  const lines = (): { readonly msg: string; readonly error?: string; readonly cure?: string }[] =>
    readFileSync(join(directory, 'log'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
  const count = (msg: string): number => lines().filter((line) => line.msg === msg).length
  await until(4 * seconds, 'the log does not tell of the end', () => count('mail is accepted again') === 1)
  assert.ok(count('mail is refused') === 1 || count('log lines could not be written') >= 1)
  assert.ok(count('mail is refused') <= 1)
  const deaths = lines().filter(({ msg }) => msg.startsWith('a thread died'))
  for (const { error = '', cure = '' } of deaths) {
    assert.match(error, /no (?:room|space) left/)
    assert.notEqual(cure, '')
  }
}

interface World {
  readonly directory: string
  /** On another disk. */
  readonly elsewhere: string
  program: Posthaste
  /** While true, mail to held… is put off. */
  held: boolean
  /** By recipient its id. Each recipient is in one message only. */
  readonly acknowledged: Map<string, string>
  readonly arrived: string[]
  start(): Promise<Posthaste>
  /** The reply that decides, of one message. */
  smtp(name?: string): Promise<string>
  http(): Promise<{ status: number; headers: Headers; problem: Problem }>
  command(...args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }>
  suppressed(): Promise<string[]>
}

const many = Array.from({ length: 400 }, (_, i) => `customer-${i}-of-a-long-name@shop-${i}.example`)
const config = `spool: { segment_size: 1MiB, window_size: 4MiB, reserve: 4MiB, checkpoint_after: 64KiB }
retry: { delays: [1s], jitter: 0 }
`

async function startWorld(t: TestContext, { directory }: SmallDisk): Promise<World> {
  const arrived: string[] = []
  const acknowledged = new Map<string, string>()
  const sink = await receiver(
    t,
    {},
    {
      onMessage: async ({ envelope }) => {
        if (world.held && envelope.to.some((to) => to.startsWith('held'))) throw new Error('later')
        arrived.push(...envelope.to)
      },
    },
  )
  const secret = await tenantShop(directory)
  const log = openSync(join(directory, 'log'), 'a')
  t.after(() => closeSync(log))
  const start = (): Promise<Posthaste> => startRelay(t, { directory, receiver: sink, config, logTo: log })
  let sent = 0
  const world: World = {
    directory,
    elsewhere: folder(t),
    program: await start(),
    held: true,
    acknowledged,
    arrived,
    start,
    async smtp(name = 'ann') {
      const to = `${name}${sent++}@example.net`
      const reply = await replyTo(world.program.smtpPort, to)
      const id = /^250 .*accepted as (\S+)/.exec(reply)?.[1]
      if (id !== undefined) acknowledged.set(to, id)
      return reply
    },
    async http() {
      const to = `http${sent++}@example.net`
      const { status, headers, body } = await post(world.program.httpPort, secret, to)
      if (status === 202) acknowledged.set(to, body.id ?? '')
      return { status, headers, problem: body }
    },
    async command(...args) {
      const where = ['--config', join(directory, 'posthaste.yaml')]
      const port = ['--management-port', String(world.program.managementPort)]
      const { code, stdout, stderr } = await posthaste(...args, ...where, ...port)
      return { code, stdout: stdout.toString(), stderr }
    },
    async suppressed() {
      const { stdout } = await world.command('suppression', 'list', '--tenant', 'shop', '--limit', '500', '--json')
      return (JSON.parse(stdout) as { suppressions: { address: string }[] }).suppressions
        .map(({ address }) => address)
        .sort()
    },
  }
  return world
}

/** Its key. */
async function tenantShop(directory: string): Promise<string> {
  const data = join(directory, 'data')
  mkdirSync(data)
  const path = join(directory, 'shop.yaml')
  writeFileSync(path, `hostname: mail.example.org\ndata_directory: ${data}\n`)
  return (await makeApiTenant(loadConfig(path, {}).config)).secret
}

async function replyTo(port: number, to: string): Promise<string> {
  const client = await SmtpClient.hello(port)
  try {
    for (const line of ['MAIL FROM:<me@example.com>', `RCPT TO:<${to}>`, 'DATA']) {
      const { code, lines } = await client.command(line)
      if (code >= 400) return lines.join('\n')
    }
    client.send(letter('hello'))
    return (await client.command('.')).lines.join('\n')
  } finally {
    client.destroy()
  }
}

async function post(
  port: number,
  secret: string,
  to: string,
): Promise<{ status: number; headers: Headers; body: Problem }> {
  const answer = await fetch(`http://127.0.0.1:${port}/api/v1/emails`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({ from: apiSender, to, subject: 'hello', text: 'hello' }),
  })
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Problem }
}

interface Problem {
  readonly id?: string
  readonly code?: string
  readonly detail?: string
  readonly cure?: string
}
