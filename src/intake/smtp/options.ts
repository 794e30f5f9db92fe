/**
 * X-Posthaste- fields (docs/smtp-headers.md): what a client says to us beside the mail itself. They go no further: `cuts` names their places in
 * the content, and compose leaves them out.
 */
import { type Failure, failures } from '../../model/failures.ts'
import { cutsMax } from '../../model/limits.ts'
import {
  checkCampaign,
  checkExpiresIn,
  checkIdempotencyKey,
  checkMetadata,
  checkStream,
  checkTags,
  expiresInMsOf,
  mailClasses,
  mailClassOf,
  metadataText,
} from '../../model/options-of-mail.ts'
import type { MailClass } from '../../model/submission.ts'
import { type FieldSpan, optionPrefix } from '../../standards/header.ts'
import { readableText } from '../../standards/mime/encoded-words.ts'
import { optionBytesMax } from './limits.ts'

export interface MailOptions {
  readonly mailClass: MailClass | null
  readonly stream: string
  readonly campaign: string
  readonly tags: readonly string[]
  readonly metadata: string
  /** 0: as the configuration says. */
  readonly expiresInMs: number
  readonly idempotencyKey: string
  /** As SubmissionHead has them. */
  readonly cuts: readonly number[]
}

type Draft = { -readonly [K in keyof MailOptions]: MailOptions[K] }

export const noMailOptions: MailOptions = {
  mailClass: null,
  stream: '',
  campaign: '',
  tags: [],
  metadata: '',
  expiresInMs: 0,
  idempotencyKey: '',
  cuts: [],
}

interface Option {
  readonly name: string
  /** Takes the value; says what is wrong with it, in words that do not repeat it. */
  readonly read: (options: Draft, text: string) => string | null
}

const known: ReadonlyMap<string, Option> = new Map(
  [
    option('X-Posthaste-Class', (options, text) => {
      options.mailClass = mailClassOf(text)
      return options.mailClass === null ? `choose from ${mailClasses.join(', ')}` : null
    }),
    option('X-Posthaste-Stream', (options, text) => checkStream((options.stream = text))),
    option('X-Posthaste-Campaign', (options, text) => checkCampaign((options.campaign = text))),
    option('X-Posthaste-Tag', (options, text) => {
      const tags = text.split(',').map((tag) => tag.trim())
      options.tags = [...new Set([...options.tags, ...tags])]
      return checkTags(options.tags)
    }),
    option('X-Posthaste-Metadata', (options, text) => {
      const value = parseJson(text)
      const problem = checkMetadata(value)
      if (problem === null) options.metadata = metadataText(value as object)
      return problem
    }),
    option('X-Posthaste-Expires-In', (options, text) => {
      const ms = expiresInMsOf(text)
      if (ms === null) return 'write it like 2h, 30m or, in seconds, 7200'
      options.expiresInMs = ms
      return checkExpiresIn(ms)
    }),
    option('X-Posthaste-Idempotency-Key', (options, text) => checkIdempotencyKey((options.idempotencyKey = text))),
  ].map((each) => [each.name.toLowerCase(), each]),
)

function option(name: string, read: Option['read']): Option {
  return { name, read }
}

/** Undefined, which JSON never gives, when it is none. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const repeatable = 'x-posthaste-tag'
const lf = 0x0a

/** @param fields as the survey of that header found them; all of the content that comes before the body is in `header`. */
export function readOptions(header: Buffer, fields: readonly FieldSpan[]): MailOptions | Failure {
  if (fields.length === 0) return noMailOptions
  const options: Draft = { ...noMailOptions }
  const seen = new Set<string>()
  const cuts: number[] = []
  for (const field of fields) {
    const failure = readOption(options, seen, header, field)
    if (failure !== null) return failure
    // Content without CRLF at its very end gets one, which belongs to its last field.
    const end = header[field.end - 1] === lf ? field.end : field.end + 2
    if (cuts.at(-1) === field.nameStart) cuts[cuts.length - 1] = end
    else cuts.push(field.nameStart, end)
    if (cuts.length > 2 * cutsMax.value) return failures.tooManyOptions
  }
  return { ...options, cuts }
}

function readOption(options: Draft, seen: Set<string>, header: Buffer, field: FieldSpan): Failure | null {
  const { nameStart, nameEnd, valueStart, end } = field
  // A name may be as long as the header; those that are known are not.
  const key = nameEnd - nameStart > longestName ? '' : header.toString('latin1', nameStart, nameEnd).toLowerCase()
  const found = known.get(key)
  if (found === undefined) return failures.optionUnknown
  if (seen.has(key) && key !== repeatable) return failures.optionInvalid(found.name, 'it is there twice')
  seen.add(key)
  if (end - valueStart > optionBytesMax.value)
    return failures.optionInvalid(found.name, `it is longer than ${optionBytesMax.value} bytes`)
  const problem = found.read(options, readableText(header, valueStart, end, optionBytesMax.value))
  return problem === null ? null : failures.optionInvalid(found.name, problem)
}

const longestName = optionPrefix.length + 'idempotency-key'.length
