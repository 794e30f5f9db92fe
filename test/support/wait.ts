/** Waiting for a condition of the outside world, with an end and a reason. */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { dayMs } from '../../src/kernel/units.ts'

const pollMs = 50

/** Polls until `condition` holds; throws `what` when it has not within `msMax`. */
export async function until(msMax: number, what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + msMax
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`${what} within ${msMax / 1_000} s`)
    await sleep(pollMs)
  }
}

/** True when a server listens on this port of 127.0.0.1. */
export function acceptsConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

/** Settles at once unless the day of UTC ends within so many milliseconds; then when the next one has begun: what is counted per day starts anew there. */
export async function dayLasts(ms: number): Promise<void> {
  const leftMs = dayMs - (Date.now() % dayMs)
  if (leftMs < ms) await sleep(leftMs + 1_000)
}
