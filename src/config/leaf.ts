/** One value of the file → one value of the program, or what is wrong with it and what to write instead. */
import { isAbsolute, resolve } from 'node:path'
import { unreachable } from '../kernel/assert.ts'
import { formatBytes, formatDuration, parseBytes, parseDuration } from '../kernel/units.ts'
import { formats } from './formats.ts'
import type { OptionFacts } from './options.ts'
import { bad, good, show, type Parsed } from './parsed.ts'
import { nearest } from './suggest.ts'

export interface LeafSource {
  /** Some of it came from the environment, where everything is text. */
  readonly fromEnvironment: boolean
  /** Where relative paths start. */
  readonly directory: string
}

const durationCure = 'Write a number with one of the units ms, s, m, h, d: for example 30s.'
const bytesCure =
  'Write a number with one of the units B, KB, MB, GB, TB (thousands) or KiB, MiB, GiB, TiB (1024s): for example 50MiB.'

export function parseLeaf(facts: OptionFacts, given: unknown, source: LeafSource): Parsed {
  switch (facts.kind) {
    case 'duration':
      return measured(facts, given, parseDuration, formatDuration, 'a duration', durationCure)
    case 'bytes':
      return measured(facts, given, parseBytes, formatBytes, 'a size', bytesCure)
    case 'integer':
    case 'ratio':
      return given === facts.word && given !== undefined ? good(given) : number(facts, given, source)
    case 'boolean':
      return truth(given, source)
    case 'choice':
      return chosen(facts.choices ?? [], given)
    case 'text':
      return written(facts, given)
    case 'path':
      return typeof given === 'string' && given !== ''
        ? good(isAbsolute(given) ? given : resolve(source.directory, given))
        : bad(`${show(given)} is not a path`, 'Write the path of a file or directory as text.')
    case 'secret':
      if (typeof given !== 'string' || !source.fromEnvironment)
        return bad('a secret is written into the file', secretCure)
      return given === '' ? bad('the secret is empty', 'Put a value into the environment variable.') : good(given)
    case 'list':
      return bad('is a list', 'Write each entry on its own line after a dash.')
    default:
      return unreachable(facts.kind)
  }
}

const secretCure =
  'Put it into a file that not everyone can read and name that by the …_file option, or write ${env:NAME} and set NAME.'

function measured(
  facts: OptionFacts,
  given: unknown,
  parse: (text: string) => number | null,
  format: (value: number) => string,
  noun: string,
  cure: string,
): Parsed {
  if (typeof given === 'number') return bad(`${given} has no unit`, cure)
  const value = typeof given === 'string' ? parse(given) : null
  if (value === null) return bad(`${show(given)} is not ${noun}`, cure)
  return within(facts, value, format)
}

function number(facts: OptionFacts, given: unknown, source: LeafSource): Parsed {
  const whole = facts.kind === 'integer'
  const digits = whole ? /^\d{1,15}$/ : /^\d{1,15}(\.\d{1,15})?$/
  const value = source.fromEnvironment && typeof given === 'string' && digits.test(given) ? Number(given) : given
  if (typeof value !== 'number' || !Number.isFinite(value) || (whole && !Number.isInteger(value))) {
    return whole
      ? bad(
          `${show(given)} is not a whole number`,
          `Write digits only${bounds(facts, String)}${facts.word === undefined ? '' : `, or ${facts.word}`}.`,
        )
      : bad(`${show(given)} is not a number`, `Write a number${bounds(facts, String)}.`)
  }
  return within(facts, value, String)
}

function within(facts: OptionFacts, value: number, format: (value: number) => string): Parsed {
  if (value < (facts.minimum ?? 0))
    return bad(`${format(value)} is too small`, `Write a value${bounds(facts, format)}.`)
  if (value > (facts.maximum ?? Infinity))
    return bad(`${format(value)} is too large`, `Write a value${bounds(facts, format)}.`)
  return good(value)
}

function bounds(facts: OptionFacts, format: (value: number) => string): string {
  const from = format(facts.minimum ?? 0)
  return facts.maximum === undefined ? `, at least ${from}` : ` from ${from} to ${format(facts.maximum)}`
}

function truth(given: unknown, source: LeafSource): Parsed {
  if (typeof given === 'boolean') return good(given)
  if (source.fromEnvironment && (given === 'true' || given === 'false')) return good(given === 'true')
  return bad(`${show(given)} is neither true nor false`, 'Write true or false.')
}

function chosen(choices: readonly string[], given: unknown): Parsed {
  if (typeof given === 'string' && choices.includes(given)) return good(given)
  const near = typeof given === 'string' ? nearest(given, choices) : null
  const all = `Write one of ${choices.join(', ')}.`
  return bad(`${show(given)} is not one of the choices`, near === null ? all : `Did you mean ${near}? ${all}`)
}

function written(facts: OptionFacts, given: unknown): Parsed {
  if (typeof given !== 'string') return bad(`${show(given)} is not text`, 'Put it in quotation marks.')
  return formats[facts.format ?? 'line'](given)
}
