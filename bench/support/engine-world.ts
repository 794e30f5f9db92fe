/** Our engine alone, in a control group of its own, with all mail routed to one receiver on loopback. */
import { rmSync } from 'node:fs'
import { freePort } from '../../test/support/engine.ts'
import { until } from '../../test/support/wait.ts'
import { type ControlGroup, makeControlGroup } from './cgroup.ts'
import { type Engine, type Sections, startEngine } from './engine.ts'
import type { Setting } from './options.ts'

export interface EngineWorldOptions {
  readonly name: string
  /** Is made, and removed at the end. */
  readonly directory: string
  readonly receiverPort: number
  /** Beyond the route. */
  readonly config?: Sections
  readonly settings: readonly Setting[]
  /** Options of Node. */
  readonly nodeOptions?: readonly string[]
  /** Open files that the engine may have; the system's limit unless given. */
  readonly filesMax?: number
}

export interface EngineWorld {
  readonly engine: Engine
  readonly group: ControlGroup
  /** Starts it on the same data after it was killed; settles when it takes mail again. */
  readonly restart: (startMsMax: number) => Promise<Engine>
}

export async function withEngine<Result>(
  options: EngineWorldOptions,
  use: (world: EngineWorld) => Promise<Result>,
): Promise<Result> {
  const { name, directory, settings, nodeOptions = [], filesMax } = options
  const group = makeControlGroup(name)
  const limits = filesMax === undefined ? [] : ['prlimit', `--nofile=${filesMax}:${filesMax}`]
  const route = { domain: '*', host: '127.0.0.1', port: options.receiverPort, tls: 'never' }
  const place = {
    directory,
    port: await freePort(),
    config: { routes: [route], ...options.config },
    settings,
    nodeOptions,
    prefix: [...group.prefix, ...limits],
  }
  let running: Engine | null = null
  try {
    const engine = (running = await startEngine(place))
    const restart = async (startMsMax: number): Promise<Engine> =>
      (running = await startEngine({ ...place, startMsMax }))
    const result = await use({ engine, group, restart })
    refuseComplaints(running)
    return result
  } finally {
    // What it has not delivered yet is nobody's business, so there is nothing to drain.
    await running?.kill()
    await until(10_000, 'the engine left processes behind', () => group.processIds().length === 0)
    group.remove()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** A thread that died and was replaced, a file that was set aside: whatever was measured is not what was meant. */
function refuseComplaints(engine: Engine): void {
  const complaints = engine
    .log()
    .split('\n')
    .filter((line) => /"level":"(error|fatal)"/.test(line))
  if (complaints.length > 0) throw new Error(`the engine complained:\n${complaints.slice(0, 20).join('\n')}`)
}
