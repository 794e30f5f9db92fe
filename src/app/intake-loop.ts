/** An intake thread: its own listeners on the ports that all share, and its own log, which nobody else ever writes. */
import type { Config } from '../config/config.ts'
import { systemClock } from '../kernel/clock.ts'
import { systemRandom } from '../kernel/random.ts'
import { Channel, intakeLogName, openIntakeLog } from '../spool/spool.ts'
import { connectionsEach } from './deliver-pool.ts'
import { Doors } from './doors.ts'
import type { FromThread, IntakeThreadData, ThreadLog } from './exchange.ts'
import { MainRequests } from './main-requests.ts'
import type { ServingThread } from './serve-main.ts'

/** Wakes come with every commit; this is for what might wait without one. */
const tickMs = 250

export async function runIntakeThread(
  data: IntakeThreadData,
  log: ThreadLog,
  say: (message: FromThread) => void,
): Promise<ServingThread> {
  const { config, memory, version, directory, reusePort, quotaMemory } = data
  const clock = systemClock
  const submissions = openIntakeLog({ memory, log: data.log, config: config.spool, clock, random: systemRandom })
  const found = memory.channels.find(({ name }) => name === intakeLogName(data.log))
  if (found === undefined) throw new Error(`there is no intake log ${data.log}`)
  const channel = new Channel(found)
  const { flags } = channel
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
  const requests = new MainRequests(say, clock)
  const confirmSender = requests.confirmSender.bind(requests)
  const own = shared(config, memory.intakeLogs)
  const doors = new Doors({
    config: own,
    version,
    submissions,
    directory,
    quotaMemory,
    channel,
    log,
    reusePort,
    confirmSender,
  })
  await doors.open()
  return {
    addresses: doors.addresses,
    httpAddresses: doors.httpAddresses,
    recovery: null,
    figures: () => ({ intake: doors.figures }),
    hear(message) {
      requests.hear(message)
      if (message.kind === 'full') submissions.setFull(message.tenants, message.queueFull)
      return doors.hear(message)
    },
    async drain(deadlineMs) {
      await doors.stop(deadlineMs)
      submissions.close()
    },
  }
}

/** The kernel spreads connections evenly, so each thread has its share of the limits. */
function shared(config: Config, threads: number): Config {
  const { smtp, http } = config
  return {
    ...config,
    smtp: {
      ...smtp,
      connectionsMax: connectionsEach(smtp.connectionsMax, threads),
      connectionsPerAddressMax: connectionsEach(smtp.connectionsPerAddressMax, threads),
    },
    http: { ...http, connectionsMax: connectionsEach(http.connectionsMax, threads) },
  }
}
