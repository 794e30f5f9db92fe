/**
 * The log thread: one per disk, serves every log on it. Sleeps in Atomics.wait, so that it costs nothing while idle and wakes without an event
 * loop; all its calls block, and nobody else ever waits for a disk.
 */
import type { Clock } from '../kernel/clock.ts'
import type { Disk } from '../ports/disk.ts'
import { Channel, type ChannelMemory } from './channel.ts'
import { CheckpointFiles, type CheckpointMemory } from './checkpoint-files.ts'
import { Flusher } from './flusher.ts'
import { spoolRoot } from './files.ts'

export interface LogThreadMemory {
  /** The outcome log first, then every log that holds mail. */
  readonly channels: readonly ChannelMemory[]
  /** Logs 0 … n−1 take mail now. */
  readonly intakeLogs: number
  readonly checkpoint: CheckpointMemory
  /** [0] counts wakes, [1] asks it to stop. */
  readonly wake: SharedArrayBuffer
}

export interface LogThreadOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly memory: LogThreadMemory
  readonly reserveBytes: number
  readonly onError: (log: string, error: unknown) => void
}

/** Whoever fills the disk from outside does not wait until mail pauses. */
const lookAtSpaceMs = 1_000

/** Runs until asked to stop. Blocks its thread. */
export function runLogThread(options: LogThreadOptions): void {
  const wake = new Int32Array(options.memory.wake)
  const channels = options.memory.channels.map((memory) => new Channel(memory))
  const flushers = channels.map(
    (channel) =>
      new Flusher({
        disk: options.disk,
        channel,
        directory: `${spoolRoot}/${channel.name}`,
        reserveBytes: options.reserveBytes,
        onError: (error) => options.onError(channel.name, error),
      }),
  )
  const checkpoint = new CheckpointFiles({
    disk: options.disk,
    memory: options.memory.checkpoint,
    // Its reader is the scheduler, who writes checkpoints.
    onDone: () => channels[0]?.wakeOwner(),
  })
  let lookedMs = options.clock.monotonicMs()
  while (Atomics.load(wake, 1) === 0) {
    const seen = Atomics.load(wake, 0)
    const nowMs = options.clock.monotonicMs()
    if (nowMs - lookedMs >= lookAtSpaceMs) {
      lookedMs = nowMs
      for (const flusher of flushers) flusher.checkSpace()
    }
    let worked = false
    for (const flusher of flushers) worked = flusher.step() || worked
    worked = checkpoint.step() || worked
    if (!worked) Atomics.wait(wake, 0, seen, lookAtSpaceMs)
  }
  // Whoever asked to stop has closed its batches: nothing may stay behind.
  for (const flusher of flushers) {
    flusher.drain()
    flusher.close()
  }
  checkpoint.close()
}

/** For an owner that has planned its first segment: the thread makes its file while nobody waits for it. */
export function wakeLogThread(memory: LogThreadMemory): void {
  const wake = new Int32Array(memory.wake)
  Atomics.add(wake, 0, 1)
  Atomics.notify(wake, 0)
}

/** Asks the thread to finish what was closed and to end. */
export function stopLogThread(memory: LogThreadMemory): void {
  const wake = new Int32Array(memory.wake)
  Atomics.store(wake, 1, 1)
  wakeLogThread(memory)
}
