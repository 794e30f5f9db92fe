/**
 * What `perf script` printed, added up: each sample is a stack, innermost frame first, and counts once in each of these.
 *
 *   kind     what the processor did: our code, Node's, V8's, a system call, garbage collection …
 *   stage    for whom: the folder of src/ whose function is innermost on the stack
 *   call     which system call, when the kernel was in one
 *   caller   the same, with the function of src/ that asked for it
 *   self     the innermost function; a call that V8 inlined is part of its caller
 *   within   every function of src/ on the stack, once: its own time and that of all it called
 *
 * In a virtual machine samples come by a timer interrupt. What the kernel does with interrupts disabled is therefore counted where they are enabled
 * again: finish_task_switch and _raw_spin_unlock_irqrestore stand for the switch or wake-up that they end.
 */
export interface Profile {
  samples: number
  readonly kind: Map<string, number>
  readonly stage: Map<string, number>
  readonly call: Map<string, number>
  readonly caller: Map<string, number>
  readonly self: Map<string, number>
  readonly within: Map<string, number>
  readonly thread: Map<string, number>
}

interface Frame {
  readonly symbol: string
  /** File that the code is in: a library, the kernel, or the map of compiled JavaScript. */
  readonly object: string
}

/** Lines of `perf script -F comm,tid,ip,sym,dso`: a head with the thread's name, its frames, an empty line. */
export async function addUp(lines: AsyncIterable<string>): Promise<Profile> {
  const profile: Profile = {
    samples: 0,
    kind: new Map(),
    stage: new Map(),
    call: new Map(),
    caller: new Map(),
    self: new Map(),
    within: new Map(),
    thread: new Map(),
  }
  let thread = ''
  let stack: Frame[] = []
  for await (const line of lines) {
    if (line === '') {
      if (stack.length > 0) add(profile, thread, stack)
      stack = []
    } else if (line.startsWith('\t')) stack.push(readFrame(line))
    else thread = line.trim().replace(/\s+\d+$/, '')
  }
  if (stack.length > 0) add(profile, thread, stack)
  return profile
}

/** "ffffffff82056fd5 inet_getname ([kernel.kallsyms])"; symbols may hold blanks and parentheses. */
function readFrame(line: string): Frame {
  const text = line.trim()
  const object = text.lastIndexOf(' (')
  return { symbol: text.slice(text.indexOf(' ') + 1, object), object: text.slice(object + 2, -1) }
}

function add(profile: Profile, thread: string, stack: readonly Frame[]): void {
  const one = (counts: Map<string, number>, name: string): void => void counts.set(name, (counts.get(name) ?? 0) + 1)
  const service = serviceOf(stack)
  const call = callOf(stack)
  const ours = stack.find(({ symbol }) => folderOf(symbol) !== null)
  profile.samples += 1
  one(profile.thread, thread)
  one(profile.kind, service ?? kindOf(stack[0] as Frame, call))
  one(profile.stage, service ?? (ours === undefined ? noStage : (folderOf(ours.symbol) as string)))
  if (call !== null) {
    one(profile.call, call)
    one(profile.caller, `${call} <- ${ours === undefined ? 'event loop' : nameOf(ours)}`)
  }
  one(profile.self, nameOf(stack[0] as Frame))
  for (const name of new Set(stack.filter(({ symbol }) => folderOf(symbol) !== null).map(nameOf)))
    one(profile.within, name)
}

const noStage = 'event loop and sockets, before any of our code'

/** Work that V8 does for everybody; whose call happened to set it off says little. */
function serviceOf(stack: readonly Frame[]): string | null {
  for (const { symbol } of stack) {
    if (garbage.test(symbol)) return 'garbage collection'
    if (compiling.test(symbol)) return 'compiling'
  }
  return null
}

const garbage =
  /^v8::internal::(?:Heap::(?:Collect|PerformGarbage|Scavenge|MarkCompact)|Scavenge|MarkCompact|ConcurrentMarking|MinorMark|Sweeper|IncrementalMarking|MarkingVisitor|ArrayBufferSweeper|YoungGeneration|ParallelClearing|Evacuat|PointersUpdating|GCTracer|cppgc)|cppgc::/
const compiling =
  /^v8::internal::(?:compiler::|maglev::|baseline::|Compiler::|OptimizingCompile|interpreter::|UnoptimizedCompilation|Turbofan|Turboshaft|TieringManager)/

const isKernel = ({ object }: Frame): boolean => object.startsWith('[')

/** The system call that the kernel was in, "page fault", or "interrupt" when the program did not ask for it. */
function callOf(stack: readonly Frame[]): string | null {
  if (!isKernel(stack[0] as Frame)) return null
  const entry = stack.findIndex(({ symbol }) => symbol === 'do_syscall_64' || symbol === 'el0_svc')
  if (entry > 0) {
    const { symbol } = stack[entry - 1] as Frame
    return symbol === 'exit_to_user_mode_loop'
      ? 'switch to another thread after a call'
      : symbol.replace(callPrefix, '')
  }
  if (entry === 0) return 'entry and exit'
  return stack.some(({ symbol }) => symbol.includes('page_fault')) ? 'page fault' : 'interrupt'
}

const callPrefix = /^(?:__(?:x64|arm64)_sys|ksys|do)_/

function kindOf(frame: Frame, call: string | null): string {
  const { symbol, object } = frame
  if (call !== null) return call === 'interrupt' || call === 'page fault' ? `kernel: ${call}` : 'kernel: system calls'
  const folder = folderOf(symbol)
  if (folder !== null) return `our code: ${folder}`
  if (isJavaScript(symbol)) return symbol.includes(' node:') ? "Node's JavaScript" : 'other JavaScript'
  if (symbol.startsWith('Builtins_') || object.endsWith('.map')) return 'V8: built-in functions'
  if (/\blibc[.-]|ld-linux|vdso|libpthread|libstdc/.test(object)) return 'C library (copies, memory, locks)'
  if (symbol.startsWith('v8::') || symbol.startsWith('_ZN2v8')) return 'V8: run time'
  if (symbol.startsWith('uv_')) return 'libuv'
  return "Node's C++"
}

const isJavaScript = (symbol: string): boolean => symbol.startsWith('JS:')

/** "JS:*append file:///…/src/spool/log.ts:210:9" → "spool"; null when it is not ours. */
function folderOf(symbol: string): string | null {
  if (!isJavaScript(symbol)) return null
  const path = /\/src\/([^/]+)\//.exec(symbol)
  return path === null ? null : `src/${path[1]}`
}

/** The mark behind `JS:` says how well it is compiled, which changes while it runs. */
function nameOf({ symbol, object }: Frame): string {
  const script = /^JS:(?:o?[*^~+']+)?(.*?) ?((?:file:|node:)\S*?)(?::\d+)?$/.exec(symbol)
  if (script !== null) {
    const [, name = '', place = ''] = script
    return `${name === '' ? '(anonymous)' : name}  ${place.replace(/^file:.*\/src\//, 'src/')}`
  }
  if (symbol.startsWith('[unknown]')) return `in ${object.replace(/^.*\//, '')}`
  return `${symbol.replaceAll('(anonymous namespace)::', '').replace(/\(.*$/, '').slice(0, 70)}${isKernel({ symbol, object }) ? '  [kernel]' : ''}`
}
