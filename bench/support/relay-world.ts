/** One peer between smtp-source and smtp-sink, in a control group of its own; source and sink are outside the group. */
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../test/support/engine.ts'
import { until } from '../../test/support/wait.ts'
import { type ControlGroup, makeControlGroup } from './cgroup.ts'
import type { Peer, RunningPeer } from './peers.ts'
import { runSource, type Sink, startSink } from './smtp-tools.ts'

export interface Load {
  readonly messages: number
  readonly bytes: number
  readonly sessions: number
}

export interface RelayWorld {
  readonly group: ControlGroup
  /** As `relayAll`. */
  readonly relay: (load: Load) => Promise<number>
}

const deliveryMsMax = 600_000
const quietWindowMs = 2_000
/** 2 % of a core: what timers of an idle daemon may use. */
const quietCpuMs = 40

/** Starts the peer in an empty folder, lets it become quiet, and afterwards stops everything and removes the folder. */
export async function withPeer<Result>(
  peer: Peer,
  directory: string,
  use: (world: RelayWorld) => Promise<Result>,
): Promise<Result> {
  const group = makeControlGroup(peer.name)
  const sink = await startSink(await freePort())
  const peerDirectory = join(directory, 'peer')
  mkdirSync(peerDirectory, { recursive: true })
  chmodSync(directory, 0o755)
  let running: RunningPeer | null = null
  try {
    const place = { directory: peerDirectory, port: await freePort(), sinkPort: sink.port, prefix: group.prefix }
    running = await peer.start(place)
    await quiet(group)
    const { port } = running
    return await use({ group, relay: (load) => relayAll({ port, sink, group }, load) })
  } finally {
    await running?.stop()
    await until(10_000, `${peer.name} left processes behind`, () => group.processIds().length === 0)
    await sink.stop()
    group.remove()
    rmSync(directory, { recursive: true, force: true })
  }
}

export interface Between {
  /** Of the peer. */
  readonly port: number
  readonly sink: Sink
  readonly group: ControlGroup
}

/** Sends all of it and settles, once the peer is quiet, with the time until the last one was delivered; rejects when one is lost or comes twice. */
export async function relayAll({ port, sink, group }: Between, load: Load): Promise<number> {
  const before = sink.received()
  const received = (): number => sink.received() - before
  const startedMs = performance.now()
  await runSource({ ...load, port })
  await until(
    deliveryMsMax,
    `only ${received()} of ${load.messages} messages were delivered`,
    () => received() >= load.messages,
  )
  const elapsedMs = performance.now() - startedMs
  await quiet(group)
  if (received() !== load.messages)
    throw new Error(`${received()} deliveries of ${load.messages} messages: some came twice`)
  return elapsedMs
}

/** Settles once the group used next to nothing for a whole window. */
async function quiet(group: ControlGroup): Promise<void> {
  let windowStartMs = performance.now()
  let cpuAtStartMs = group.cpuMs()
  await until(120_000, 'the peer did not become quiet', () => {
    if (group.cpuMs() - cpuAtStartMs > quietCpuMs) {
      windowStartMs = performance.now()
      cpuAtStartMs = group.cpuMs()
    }
    return performance.now() - windowStartMs >= quietWindowMs
  })
}
