/**
 * Large messages from many clients at once: memory must not follow the messages. Runs once with one client, so that what the program takes anyway is
 * known, and then with all of them.
 *
 *   npm run bench -- large --clients 20 --megabytes 50
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../test/support/engine.ts'
import { memoryMiB, withPeakMemory } from './support/cgroup.ts'
import { withEngine } from './support/engine-world.ts'
import { machineFacts } from './support/machine.ts'
import { common, count, readOptions } from './support/options.ts'
import { printEnd, saveResult, table } from './support/report.ts'
import { relayAll } from './support/relay-world.ts'
import { startSink } from './support/smtp-tools.ts'

interface Run {
  readonly clients: number
  readonly seconds: number
  readonly cpuMsPerMegabyte: number
  readonly peakRssMiB: number
  readonly peakPssMiB: number
}

export async function largeBenchmark(argumentList: string[]): Promise<void> {
  const { directory, save, set, clients, megabytes, each } = readOptions('large', argumentList, {
    clients: count(20, 'clients that send at once'),
    megabytes: count(50, 'size of a message, in millions of bytes'),
    each: count(2, 'messages of each client'),
    ...common,
  })
  const base = mkdtempSync(join(directory, 'posthaste-bench-'))
  const sink = await startSink(await freePort())
  const world = { name: 'large', directory: join(base, 'engine'), settings: set, receiverPort: sink.port }
  const config = { smtp: { message_size_max: `${megabytes + 5}MB` } }
  try {
    const { idle, runs } = await withEngine({ ...world, config }, async ({ engine, group }) => {
      const before = memoryMiB(group.processIds())
      const done: Run[] = []
      for (const sessions of [1, clients]) {
        const load = { messages: sessions * each, bytes: megabytes * 1e6, sessions }
        const cpuBeforeMs = group.cpuMs()
        const { result, rssMiB, pssMiB } = await withPeakMemory(group, () =>
          relayAll({ port: engine.port, sink, group }, load),
        )
        done.push({
          clients: sessions,
          seconds: result / 1_000,
          cpuMsPerMegabyte: (group.cpuMs() - cpuBeforeMs) / (load.messages * megabytes),
          peakRssMiB: rssMiB,
          peakPssMiB: pssMiB,
        })
        console.log(`${sessions} clients: ${(result / 1_000).toFixed(1)} s, at most ${pssMiB.toFixed(0)} MiB`)
      }
      return { idle: before, runs: done }
    })
    console.log(
      `\n${table(
        ['clients', `seconds for ${each} × ${megabytes} MB each`, 'CPU ms per MB', 'peak RSS MiB', 'peak PSS MiB'],
        runs.map((run) => [
          String(run.clients),
          run.seconds.toFixed(1),
          run.cpuMsPerMegabyte.toFixed(2),
          run.peakRssMiB.toFixed(0),
          run.peakPssMiB.toFixed(0),
        ]),
      )}\n\nidle: ${idle.rss.toFixed(0)} MiB RSS, ${idle.pss.toFixed(0)} MiB PSS`,
    )
    const machine = machineFacts(base)
    printEnd(machine, saveResult('large', save, { machine, clients, megabytes, each, idle, runs }))
  } finally {
    await sink.stop()
    rmSync(base, { recursive: true, force: true })
  }
}
