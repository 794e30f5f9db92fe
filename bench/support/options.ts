/** Command lines of the benchmarks: a table of options with defaults, which is also what `--help` prints. */
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { parse } from 'yaml'

/** What `bench.ts` prints in place of a stack: the help that was asked for, or what is wrong with the command line. */
export class Usage extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode: number) {
    super(message)
    this.exitCode = exitCode
  }
}

interface Option<Value> {
  readonly preset: string
  readonly what: string
  readonly read: (text: string, name: string) => Value
}

type Values<Options> = { readonly [Name in keyof Options]: Options[Name] extends Option<infer Value> ? Value : never }

/** Dotted path of an option of the engine's configuration, and its value. */
export type Setting = readonly [path: string, value: unknown]

export const count = (preset: number, what: string, least = 1): Option<number> => ({
  preset: String(preset),
  what,
  read: (text, name) => readCount(text, name, least),
})

export const counts = (preset: string, what: string): Option<number[]> => ({
  preset,
  what: `${what}; several with commas`,
  read: (text, name) => text.split(',').map((part) => readCount(part, name, 1)),
})

export const amount = (preset: number, what: string): Option<number> => ({
  preset: String(preset),
  what,
  read: (text, name) => {
    const value = Number(text)
    if (!(value > 0)) throw new Usage(`--${name} is a number above 0, not ${text}`, 64)
    return value
  },
})

export const share = (preset: number, what: string): Option<number> => ({
  preset: String(preset),
  what: `${what}, 0 to 1`,
  read: (text, name) => {
    const value = Number(text)
    if (!(value >= 0 && value <= 1)) throw new Usage(`--${name} is a number from 0 to 1, not ${text}`, 64)
    return value
  },
})

export const words = (preset: string, what: string): Option<string> => ({ preset, what, read: (text) => text })

export const choice = <const Value extends string>(
  values: readonly [Value, ...Value[]],
  what: string,
): Option<Value> => ({
  preset: values[0],
  what: `${what}: ${values.join(', ')}`,
  read: (text, name) => {
    const found = values.find((value) => value === text)
    if (found === undefined) throw new Usage(`--${name} is one of ${values.join(', ')}, not ${text}`, 64)
    return found
  },
})

/** What every benchmark of the engine takes. `--set` may be repeated. */
export const common = {
  directory: words(tmpdir(), 'folder on the disk that is to be measured'),
  save: words('', 'name of a result that is kept in bench/results/'),
  set: {
    preset: '',
    what: 'option of our configuration, such as spool.commit_delay=5ms; may be repeated',
    read: (text: string): Setting[] => (text === '' ? [] : text.split('\n').map(readSetting)),
  },
}

/** @throws Usage */
export function readOptions<Options extends Readonly<Record<string, Option<unknown>>>>(
  benchmark: string,
  argumentList: readonly string[],
  options: Options,
): Values<Options> {
  const names = Object.keys(options)
  const given = parseStrings(benchmark, argumentList, names)
  if (given['help'] === true) throw new Usage(helpOf(benchmark, options), 0)
  const read = names.map((name): [string, unknown] => {
    const { preset, read } = options[name] as Option<unknown>
    const texts = given[name]
    return [name, read(Array.isArray(texts) ? texts.join('\n') : preset, name)]
  })
  return Object.fromEntries(read) as Values<Options>
}

function parseStrings(
  benchmark: string,
  argumentList: readonly string[],
  names: readonly string[],
): Record<string, unknown> {
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const, multiple: true }]))
  try {
    return parseArgs({ args: [...argumentList], options: { ...options, help: { type: 'boolean' } } }).values
  } catch (error) {
    throw new Usage(`${(error as Error).message}\nnpm run bench -- ${benchmark} --help lists the options.`, 64)
  }
}

function helpOf(benchmark: string, options: Readonly<Record<string, Option<unknown>>>): string {
  const lines = Object.entries(options).map(
    ([name, { preset, what }]) => `  --${name.padEnd(16)} ${what}${preset === '' ? '' : ` (${preset})`}`,
  )
  return [`npm run bench -- ${benchmark} [options]`, '', ...lines].join('\n')
}

function readCount(text: string, name: string, least: number): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < least || text.trim() === '')
    throw new Usage(`--${name} is a number of at least ${least}, not ${text}`, 64)
  return value
}

function readSetting(text: string): Setting {
  const match = /^([a-z_]+(?:\.[a-z_]+)*)=(.+)$/.exec(text)
  if (match === null)
    throw new Usage(`--set is a path and a value, such as delivery.connections_per_site=5, not ${text}`, 64)
  return [match[1] as string, parse(match[2] as string)]
}
