/**
 * Counts the system calls of a running process, all its threads, while something is done. `perf` counts in the kernel and slows nothing down;
 * `strace` is everywhere, stops the process at every call, and so makes batches larger than they are.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import type { Duplex, Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../../test/support/wait.ts'

export type Tracer = 'perf' | 'strace'

export interface Counted<Result> {
  readonly result: Result
  readonly calls: ReadonlyMap<string, number>
}

const total = 'raw_syscalls:sys_enter'
const prefix = 'syscalls:sys_enter_'
/** Each is an open file of perf per thread, so these and not all 360; the rest shows as `other`. */
const named = `read write readv writev pread64 pwrite64 preadv pwritev sendto sendmsg recvfrom recvmsg accept4 connect socket shutdown
close openat unlink unlinkat rename fsync fdatasync sync_file_range fallocate ftruncate statx newfstat newfstatat fcntl ioctl lseek
epoll_wait epoll_pwait epoll_ctl poll futex io_uring_enter eventfd2 timerfd_settime getsockopt setsockopt getsockname getpeername
mmap munmap mprotect madvise brk clock_gettime getpid gettid sched_yield nanosleep clock_nanosleep rt_sigprocmask tgkill getrusage statfs`
const names = named.split(/\s+/)

/** perf where it can count system calls, else strace. */
export function findTracer(): Tracer {
  const probe = spawnSync('perf', ['stat', '-x,', '-e', total, 'true'], { encoding: 'utf8' })
  if (probe.status === 0 && !probe.stderr.includes('not supported')) return 'perf'
  if (spawnSync('strace', ['-V']).status === 0) return 'strace'
  throw new Error('neither perf nor strace can be run: apt-get install linux-perf or strace, and be root')
}

export function countSystemCalls<Result>(
  tracer: Tracer,
  processId: number,
  work: () => Promise<Result>,
): Promise<Counted<Result>> {
  return tracer === 'perf' ? countByPerf(processId, work) : countByStrace(processId, work)
}

async function countByPerf<Result>(processId: number, work: () => Promise<Result>): Promise<Counted<Result>> {
  const known = names.filter((name) => existsSync(`/sys/kernel/tracing/events/syscalls/sys_enter_${name}`))
  const events = [total, ...known.map((name) => prefix + name)].join(',')
  const perf = spawn(
    'perf',
    ['stat', '-x,', '-D', '-1', '--control', 'fd:3,4', '-e', events, '-p', String(processId)],
    { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] },
  )
  const output = collect(perf.stderr as Readable)
  const [, , , control, acknowledged] = perf.stdio as unknown as [null, null, Readable, Duplex, Duplex]
  const say = async (word: string): Promise<void> => {
    control.write(`${word}\n`)
    await Promise.race([once(acknowledged, 'data'), endedEarly(perf, output)])
  }
  try {
    await say('enable')
    const result = await work()
    await say('disable')
    return { result, calls: readPerf(await end(perf, output)) }
  } finally {
    perf.kill('SIGKILL')
  }
}

function readPerf(text: string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [value = '', , event = ''] = line.split(',')
    if (/^\d+$/.test(value)) counts.set(event, Number(value))
  }
  const all = counts.get(total)
  if (all === undefined) throw new Error(`perf counted nothing:\n${text}`)
  const calls = new Map<string, number>()
  let seen = 0
  for (const [event, value] of counts) {
    if (event === total || value === 0) continue
    calls.set(event.slice(prefix.length), value)
    seen += value
  }
  return calls.set('other', all - seen)
}

async function countByStrace<Result>(processId: number, work: () => Promise<Result>): Promise<Counted<Result>> {
  const strace = spawn('strace', ['-f', '-c', '-p', String(processId)], { stdio: ['ignore', 'ignore', 'pipe'] })
  const output = collect(strace.stderr)
  try {
    await Promise.race([
      until(10_000, 'strace did not attach', () => threadsOf(processId).every((id) => tracerOf(processId, id) !== 0)),
      endedEarly(strace, output),
    ])
    await sleep(100)
    const result = await work()
    return { result, calls: readStrace(await end(strace, output)) }
  } finally {
    strace.kill('SIGKILL')
  }
}

/** Lines such as " 12.30    0.001234          12       100         5 futex". */
function readStrace(text: string): Map<string, number> {
  const calls = new Map<string, number>()
  for (const line of text.split('\n')) {
    const match = /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?([a-z]\w*)$/.exec(line)
    if (match !== null && match[2] !== 'total') calls.set(match[2] as string, Number(match[1]))
  }
  if (calls.size === 0) throw new Error(`strace counted nothing:\n${text}`)
  return calls
}

const threadsOf = (processId: number): string[] => readdirSync(`/proc/${processId}/task`)

function tracerOf(processId: number, threadId: string): number {
  const status = readFileSync(`/proc/${processId}/task/${threadId}/status`, 'utf8')
  return Number(/^TracerPid:\s+(\d+)/m.exec(status)?.[1] ?? 0)
}

function collect(stream: Readable): () => string {
  let text = ''
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return () => text
}

async function endedEarly(child: ChildProcess, output: () => string): Promise<never> {
  await once(child, 'close')
  throw new Error(`${child.spawnfile} ended before it was told to:\n${output()}`)
}

async function end(child: ChildProcess, output: () => string): Promise<string> {
  const closed = once(child, 'close')
  child.kill('SIGINT')
  await closed
  return output()
}
