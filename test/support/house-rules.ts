/**
 * The house rules. Each looks at one source file and returns what is wrong, with the cure. Exceptions are listed by name with
 * their reason; the lists may only shrink.
 */
import type { Import, SourceFile } from './house-source.ts'

export type Rule = (file: SourceFile) => string[]

const nouns = ['kernel', 'standards', 'model', 'ports', 'config']

/** In the order of a message's journey. */
export const stages = [
  'intake',
  'tenancy',
  'spool',
  'route',
  'shape',
  'compose',
  'sign',
  'deliver',
  'events',
  'feedback',
]

/** Who may import whom; a folder may always import itself. `app` and main.ts may import everything. */
export const mayImport: ReadonlyMap<string, readonly string[]> = new Map([
  ['kernel', []],
  ['standards', ['kernel']],
  ['model', ['kernel', 'standards']],
  ['ports', ['kernel', 'standards', 'model']],
  ['config', ['kernel', 'standards', 'model']],
  ...stages.map((stage) => [stage, nouns] as const),
  ['analytics', nouns],
  ['sandbox', nouns],
  ['adapters', nouns],
  ['admin', [...nouns, ...stages, 'analytics', 'sandbox', 'adapters']],
])

/** "src/intake/smtp/session.ts" → "intake"; "src/main.ts" → "app"; null outside src. */
function folderOf(path: string): string | null {
  const parts = path.split('/')
  if (parts[0] !== 'src') return null
  return parts.length === 2 ? 'app' : (parts[1] as string)
}

const isTest = (file: SourceFile): boolean => file.path.startsWith('test/') || file.path.endsWith('.test.ts')
const isSource = (file: SourceFile): boolean => file.path.startsWith('src/') && !isTest(file)
const at = (file: SourceFile, line: number): string => `${file.path}:${line}`

function lineOf(file: SourceFile, index: number): number {
  return file.text.slice(0, index).split('\n').length
}

export const importTable: Rule = (file) => {
  const from = folderOf(file.path)
  if (from === null || isTest(file)) return []
  return file.imports.flatMap((imported) => {
    if (imported.path === null) return []
    const problem = forbiddenImport(from, imported.path)
    return problem === null ? [] : [`${at(file, imported.line)} imports ${imported.path}: ${problem}`]
  })
}

function forbiddenImport(from: string, path: string): string | null {
  const to = folderOf(path)
  if (to === null) return 'src is shipped alone; move what it needs into src.'
  if (from === to) return null
  const allowed = mayImport.get(from)
  if (from !== 'app') {
    if (allowed === undefined)
      return `the folder ${from} is not in the import table: add it there and to ARCHITECTURE.md.`
    if (!allowed.includes(to)) {
      return `${from} may import only ${allowed.join(', ') || 'nothing'}. Let app/ hand it in, or go through a port.`
    }
  }
  if (nouns.includes(to) || isFrontFile(path)) return null
  return `only the front file of ${to} is open to others: export it from there, or hand it in from app/.`
}

/** "src/spool/spool.ts", "src/adapters/dns/dns.ts", "src/admin/cli/cli.ts". */
function isFrontFile(path: string): boolean {
  const parts = path.split('/')
  return parts.length >= 3 && parts.at(-1) === `${parts.at(-2)}.ts`
}

export const relativeImportsNameTheFile: Rule = (file) =>
  file.imports
    .filter(({ specifier }) => specifier.startsWith('.') && !/\.(ts|mjs|json)$/.test(specifier))
    .map(({ specifier, line }) => `${at(file, line)} imports '${specifier}': write the file's name with its .ts.`)

const socketModules = new Set([
  'node:net',
  'node:tls',
  'node:http',
  'node:https',
  'node:http2',
  'node:dgram',
  'node:dns',
  'node:dns/promises',
  'fastify',
])
/** Pure functions that happen to live in a socket module. */
const opensNoSocket = new Set(['isIP', 'isIPv4', 'isIPv6', 'BlockList', 'SocketAddress', 'createSecureContext'])
const mayOpenSockets = ['intake', 'deliver', 'events', 'admin', 'sandbox', 'adapters']
const socketExceptions: ReadonlyMap<string, string> = new Map([])

const fileModules = new Set(['node:fs', 'node:fs/promises'])
const mayOpenFiles = ['config', 'spool', 'events', 'adapters', 'app']
const fileExceptions: ReadonlyMap<string, string> = new Map([
  ['src/sandbox/', 'the capture store and the ledger of the instruments are files of their own'],
  ['src/admin/cli/', 'reads what the operator names on the command line'],
])

const excepted = (file: SourceFile, list: ReadonlyMap<string, string>): boolean =>
  [...list.keys()].some((path) => file.path.startsWith(path))

export const socketsAndFilesAtTheEdges: Rule = (file) => {
  const folder = folderOf(file.path)
  if (folder === null || isTest(file)) return []
  const opensSocket = ({ specifier, names, typeOnly }: Import): boolean =>
    socketModules.has(specifier) && !typeOnly && !names.every((name) => opensNoSocket.has(name))
  return file.imports.flatMap((imported) => {
    if (opensSocket(imported) && !mayOpenSockets.includes(folder) && !excepted(file, socketExceptions)) {
      return [
        `${at(file, imported.line)} imports ${imported.specifier}: sockets open only in ${mayOpenSockets.join(', ')}. Take the port \`net\` or \`dns\`.`,
      ]
    }
    if (
      fileModules.has(imported.specifier) &&
      !imported.typeOnly &&
      !mayOpenFiles.includes(folder) &&
      !excepted(file, fileExceptions)
    ) {
      return [
        `${at(file, imported.line)} imports ${imported.specifier}: files open only in ${mayOpenFiles.join(', ')}. Take the port \`disk\`.`,
      ]
    }
    return []
  })
}

const timeAndChance =
  /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bperformance\.now\b|\bprocess\.hrtime\b|\bset(?:Timeout|Interval)\(|\brandom(?:Bytes|UUID|Int|FillSync|Fill)\(/g
const timeExceptions: ReadonlyMap<string, string> = new Map([
  ['src/kernel/', 'the one place that asks the machine'],
  ['src/sandbox/', 'its instruments measure real time from outside the engine'],
  ['src/app/supervisor.ts', 'waits for threads and the process to end, which no virtual clock can make them do'],
])

export const timeAndChanceFromKernel: Rule = (file) => {
  if (!isSource(file) || excepted(file, timeExceptions)) return []
  return [...file.code.matchAll(timeAndChance)].map(
    ({ 0: found, index }) =>
      `${at(file, lineOf(file, index))} uses ${found.replace('(', '')}: take a Clock or a Random from kernel as a parameter.`,
  )
}

/** The compiler refuses the rest (erasableSyntaxOnly); a decorator passes it and then fails in Node. */
const notErasable: readonly (readonly [RegExp, string])[] = [
  [/^\s*@[A-Za-z]\w*/gm, 'a decorator, which Node cannot run: call a function'],
]

export const onlyErasableSyntax: Rule = (file) => findAll(file, file.code, notErasable)

const dangerous: readonly (readonly [RegExp, string])[] = [
  [/(?<![.\w])exec(?:Sync)?\(/g, 'a shell command: spawn the program with an array of arguments'],
  [/\bshell: true\b/g, 'a shell: spawn the program with an array of arguments'],
  [/\beval\(|\bnew Function\(/g, 'code made from text: write it out'],
]

export const nothingDangerous: Rule = (file) => findAll(file, file.code, dangerous)

const unfinished: readonly (readonly [RegExp, string])[] = [
  [/\b(?:TODO|FIXME|XXX|HACK)\b/g, 'a note to finish later: finish it, or open an issue and delete the note'],
]

export const nothingLeftUnfinished: Rule = (file) => findAll(file, file.text, unfinished)

const notRun: readonly (readonly [RegExp, string])[] = [
  [
    /\b(?:test|it|describe|suite|t)\.(?:only|skip|todo)\b/g,
    'a test that does not run, or keeps others from running: mend it or delete it',
  ],
  [/\b(?:only|skip|todo): (?!false)/g, 'a test that does not run, or keeps others from running: mend it or delete it'],
]

export const everyTestRuns: Rule = (file) => (isTest(file) ? findAll(file, file.code, notRun) : [])

function findAll(file: SourceFile, where: string, patterns: readonly (readonly [RegExp, string])[]): string[] {
  return patterns.flatMap(([pattern, cure]) =>
    [...where.matchAll(pattern)].map(
      ({ 0: found, index }) => `${at(file, lineOf(file, index + found.search(/\S/)))} has ${cure}.`,
    ),
  )
}

const bareBound = /^(?:export )?const (\w+Max) = (?!limit\()(?![^\n]*\.value)/gm
/** Bounds that are not in the table of limits, by path or by path and name, each with its reason. */
const bareBounds: ReadonlyMap<string, string> = new Map([
  ['src/sandbox/receiver/', 'an instrument: it plays servers that keep to other bounds than ours'],
  ['src/sandbox/source/', 'an instrument: it loads servers on this machine, as it is told to'],
  ['src/admin/cli/bench-commands.ts leaveMsMax', 'patience of an instrument, which bounds nothing that is ours'],
  ['src/sign/signing.ts columnsMax', 'how a field is folded'],
  ['src/model/submission.ts logsMax', 'how many bits of a number name its log'],
])

/** A bound without a name, an owner and a test is found by nobody. */
export const boundsAreLimits: Rule = (file) => {
  if (!isSource(file)) return []
  return [...file.code.matchAll(bareBound)].flatMap(({ 1: name, index }) =>
    [...bareBounds.keys()].some((known) => `${file.path} ${name}`.startsWith(known))
      ? []
      : [
          `${at(file, lineOf(file, index))} has the bound ${name} without a limit: define it by limit({…}) in the folder’s limits.ts, with a test at its edge.`,
        ],
  )
}

const functionLinesMax = 70
/** Path and name of functions that were longer when the rule came. May only shrink. */
const longFunctions: ReadonlySet<string> = new Set([])

const controlFlow = /^\s*(?:\} )?(?:else )?(?:if|for|while|switch|catch|with)\b/
const functionHead = /(?:\)(?:: [^=;]+)? |=> )\{$/

/** The formatter puts a function's closing brace under the first character of the line that opens its body. */
export const functionsFitOnAScreen: Rule = (file) => {
  if (isTest(file)) return []
  const lines = file.code.split('\n').map((line) => line.trimEnd())
  return lines.flatMap((line, first) => {
    if (!functionHead.test(line) || controlFlow.test(line)) return []
    const indent = line.search(/\S/)
    const length =
      lines.slice(first + 1).findIndex((later) => later.search(/\S/) === indent && later[indent] === '}') + 2
    if (length <= functionLinesMax || longFunctions.has(`${file.path} ${line.trim()}`)) return []
    return [
      `${at(file, first + 1)} has a function of ${length} lines, more than ${functionLinesMax}: move its parts into functions with names of their own.`,
    ]
  })
}

/** For the front file of a stage only. */
export function frontFileHeader(file: SourceFile): string[] {
  const header = /^\/\*\*[\s\S]*?\*\//.exec(file.text)?.[0] ?? ''
  if (/^ \* +in +\S/m.test(header) && /^ \* +out +\S/m.test(header)) return []
  return [
    `${file.path} must open with a /** header that has a line "in …" and a line "out …": what comes in, what goes out, what always holds.`,
  ]
}

const home = ['work', 'root', 'home/\\w+', 'Users/\\w+'].join('|')
const machineSpecific: readonly (readonly [RegExp, string])[] = [
  [new RegExp(`(?:^|[^\\w.])/(?:${home})/`, 'gm'), 'a path of one machine: make it relative or a parameter'],
  [/registry\.npm(?:js|mirror)|deb\.debian\.org/g, 'the host of a package registry: packages are found by name'],
]

export const nothingOfThisMachine: Rule = (file) => findAll(file, file.text, machineSpecific)
