/**
 * A control group per peer, so that its CPU time is that of all its processes, short-lived ones too. Both kinds are known: version
 * 2 (`cpu.stat`, `memory` not needed) and version 1 (`cpuacct.usage`), which some machines still run beside it.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'

const root = '/sys/fs/cgroup'

export interface ControlGroup {
  /** Put before a command line: its process joins the group before it becomes the program, so that nothing of it is missed. */
  readonly prefix: readonly string[]
  /** CPU time of the group since it was made, user and system. */
  readonly cpuMs: () => number
  processIds(): number[]
  /** Only an empty group can be removed. */
  remove(): void
}

export function makeControlGroup(name: string): ControlGroup {
  const version2 = existsSync(join(root, 'cgroup.controllers'))
  const folder = join(root, version2 ? '' : 'cpuacct', `posthaste-bench-${process.pid}-${name}`)
  try {
    mkdirSync(folder)
  } catch (cause) {
    throw new Error(`cannot make the control group ${folder}: the benchmark must run as root on Linux`, { cause })
  }
  const read = (file: string): string => readFileSync(join(folder, file), 'utf8')
  return {
    prefix: ['sh', '-c', 'echo $$ > "$0" && exec "$@"', join(folder, 'cgroup.procs')],
    cpuMs: () =>
      version2 ? Number(/usage_usec (\d+)/.exec(read('cpu.stat'))?.[1]) / 1_000 : Number(read('cpuacct.usage')) / 1e6,
    processIds: () =>
      read('cgroup.procs')
        .split('\n')
        .filter((line) => line !== '')
        .map(Number),
    remove: () => rmdirSync(folder),
  }
}

/** Resident memory of the processes: as each sees it (shared pages counted in each), and with shared pages divided among them. */
export function memoryMiB(processIds: readonly number[]): { rss: number; pss: number } {
  let rssKiB = 0
  let pssKiB = 0
  for (const id of processIds) {
    try {
      const rollup = readFileSync(`/proc/${id}/smaps_rollup`, 'utf8')
      rssKiB += Number(/^Rss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0)
      pssKiB += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0)
    } catch {
      // It ended between the listing and the reading.
    }
  }
  return { rss: rssKiB / 1024, pss: pssKiB / 1024 }
}

/** Does the work, and samples the group's memory every second meanwhile. */
export async function withPeakMemory<Result>(
  group: ControlGroup,
  work: () => Promise<Result>,
): Promise<{ result: Result; rssMiB: number; pssMiB: number }> {
  const peak = { rssMiB: 0, pssMiB: 0 }
  const sample = (): void => {
    const { rss, pss } = memoryMiB(group.processIds())
    peak.rssMiB = Math.max(peak.rssMiB, rss)
    peak.pssMiB = Math.max(peak.pssMiB, pss)
  }
  const sampler = setInterval(sample, 1_000)
  try {
    const result = await work()
    sample()
    return { result, ...peak }
  } finally {
    clearInterval(sampler)
  }
}
