/** An intake thread: its own listeners on the ports that all share, and its own log, which nobody else ever writes. */
import {
  type IntakeCounters,
  type IntakeLogEvent,
  newIntakeCounters,
  type SmtpIntake,
  startSmtpIntake,
} from '../intake/intake.ts'
import { systemClock } from '../kernel/clock.ts'
import { systemRandom } from '../kernel/random.ts'
import type { Config } from '../config/config.ts'
import type { Submissions } from '../ports/submissions.ts'
import { Channel, intakeLogName, openIntakeLog } from '../spool/spool.ts'
import { clientsOf } from '../tenancy/tenancy.ts'
import { connectionsEach } from './deliver-pool.ts'
import type { IntakeThreadData, ThreadLog } from './exchange.ts'
import type { ServingThread } from './serve-main.ts'

/** Wakes come with every commit; this is for what might wait without one. */
const tickMs = 250

export function openDoors(options: {
  readonly config: Config
  readonly submissions: Submissions
  readonly log: ThreadLog
  readonly counters: IntakeCounters
  readonly reusePort: boolean
}): Promise<SmtpIntake> {
  const { config, submissions, log, counters, reusePort } = options
  return startSmtpIntake({
    config: config.smtp,
    hostname: config.hostname,
    tls: config.tls,
    submissions,
    clients: clientsOf(config.tenants, { intake: [] }, { anySender: true, clock: systemClock }),
    store: null,
    clock: systemClock,
    counters,
    log: (event: IntakeLogEvent) => log('info', 'refused', { ...event }),
    reusePort,
  })
}

export async function runIntakeThread(data: IntakeThreadData, log: ThreadLog): Promise<ServingThread> {
  const { config, memory } = data
  const clock = systemClock
  const submissions = openIntakeLog({ memory, log: data.log, config: config.spool, clock, random: systemRandom })
  const found = memory.channels.find(({ name }) => name === intakeLogName(data.log))
  if (found === undefined) throw new Error(`there is no intake log ${data.log}`)
  const { flags } = new Channel(found)
  const wait = (): void => {
    const seen = Atomics.load(flags, Channel.doneFlag)
    submissions.poll()
    const next = Atomics.waitAsync(flags, Channel.doneFlag, seen)
    if (next.async) void next.value.then(wait)
    else setImmediate(wait)
  }
  wait()
  const tick = (): void => {
    submissions.poll()
    clock.after(tickMs, tick)
  }
  tick()
  const counters = newIntakeCounters()
  const intake = await openDoors({
    config: shared(config, memory.intakeLogs),
    submissions,
    log,
    counters,
    reusePort: data.reusePort,
  })
  return {
    addresses: intake.addresses,
    recovery: null,
    figures: () => ({ intake: { connections: intake.connections, counters: { ...counters } } }),
    hear(message) {
      if (message.kind === 'full') submissions.setFull(message.tenants, message.queueFull)
      return null
    },
    async drain(deadlineMs) {
      await intake.stop(deadlineMs)
      submissions.close()
    },
  }
}

/** The kernel spreads connections evenly, so each thread has its share of the limits. */
function shared(config: Config, threads: number): Config {
  const { smtp } = config
  return {
    ...config,
    smtp: {
      ...smtp,
      connectionsMax: connectionsEach(smtp.connectionsMax, threads),
      connectionsPerAddressMax: connectionsEach(smtp.connectionsPerAddressMax, threads),
    },
  }
}
