/**
 * What messages of a stream have when they do not say otherwise, kept as JSON in the words of the wire. What comes is read strictly. What was stored
 * before there was a rule is read as far as it makes sense.
 */
import { checkCampaign, checkExpiresIn, checkTag, checkTags, expiresInMsOf } from '../../model/options-of-mail.ts'
import { InvalidValue, type StreamDefaults } from '../../ports/directory.ts'

type Written = Readonly<Record<string, unknown>>

/** Each throws InvalidValue. */
const readers = {
  expires_in(pointer: string, value: unknown): number {
    const isText = typeof value === 'string' || typeof value === 'number'
    const ms = isText ? expiresInMsOf(String(value)) : null
    if (ms === null) throw new InvalidValue(pointer, 'it is not a duration', 'Write 2h, 3d or, in seconds, 7200.')
    refuse(pointer, checkExpiresIn(ms), 'Choose another duration, or leave it out.')
    return ms
  },
  tags(pointer: string, value: unknown): readonly string[] {
    const isList = Array.isArray(value) && value.every((tag): tag is string => typeof tag === 'string')
    if (!isList) throw new InvalidValue(pointer, 'it is not a list of texts', 'Write ["news"].')
    for (const [index, tag] of value.entries()) refuse(`${pointer}/${index}`, checkTag(tag), 'Choose another tag.')
    const tags = [...new Set(value)]
    refuse(pointer, checkTags(tags), 'Leave some out.')
    return tags
  },
  campaign(pointer: string, value: unknown): string {
    if (typeof value !== 'string') throw new InvalidValue(pointer, 'it is not a text', 'Write "spring".')
    refuse(pointer, checkCampaign(value), 'Choose another name, or leave it out.')
    return value
  },
}

const names = Object.keys(readers) as (keyof typeof readers)[]

/** As it is kept. */
export function readDefaults(pointer: string, written: Written): string {
  if (written === null || typeof written !== 'object' || Array.isArray(written))
    throw new InvalidValue(pointer, 'it is not an object', 'Write a JSON object: {"tags": ["news"]}.')
  const unknown = Object.keys(written).find((key) => !(names as string[]).includes(key))
  if (unknown !== undefined) {
    // RFC 6901 §3.
    const escaped = unknown.slice(0, 60).replaceAll('~', '~0').replaceAll('/', '~1')
    throw new InvalidValue(`${pointer}/${escaped}`, 'there is no such default', `Give any of ${names.join(', ')}.`)
  }
  const given = names.filter((name) => written[name] !== undefined)
  for (const name of given) readers[name](`${pointer}/${name}`, written[name])
  return JSON.stringify(Object.fromEntries(given.map((name) => [name, written[name]])))
}

/** Of a row. */
export function defaultsOf(json: string): StreamDefaults {
  const written = JSON.parse(json) as Written
  return {
    expiresInMs: asFarAsRight(written['expires_in'], (value) => readers.expires_in('', value), 0),
    tags: asFarAsRight(written['tags'], (value) => readers.tags('', value), []),
    campaign: asFarAsRight(written['campaign'], (value) => readers.campaign('', value), ''),
  }
}

/** Most streams have none, and an error costs its trace. */
function asFarAsRight<T>(value: unknown, read: (value: unknown) => T, without: T): T {
  if (value === undefined) return without
  try {
    return read(value)
  } catch (error) {
    if (error instanceof InvalidValue) return without
    throw error
  }
}

function refuse(pointer: string, problem: string | null, cure: string): void {
  if (problem !== null) throw new InvalidValue(pointer, problem, cure)
}
